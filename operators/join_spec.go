package operators

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// JoinKind says which rows come out that have no partner.
type JoinKind uint8

// The kinds of joins.
const (
	InnerJoin JoinKind = iota // none: pairs only
	LeftJoin                  // those of the left, the right's columns null
	OuterJoin                 // those of both sides, the other's columns null, but for the left's key
)

// String is the kind as in `kind:`.
func (k JoinKind) String() string { return [...]string{"inner", "left", "outer"}[k] }

// JoinSide is one input of a join. Port 0 is the left, port 1 the right.
type JoinSide struct {
	Schema *engine.Schema
	Key    []GroupColumn // over Schema; types in order are those of the other side
}

// JoinColumn says where a column of a join's output comes from.
type JoinColumn struct {
	Right  bool
	Column int // in that side's schema
}

// JoinSpec is what all joins have. The output has the left's columns and the
// right's in one schema, here called what the caller likes; set, select and
// drop are a Map behind it. Columns that are not put out are not stored.
type JoinSpec struct {
	Kind        JoinKind
	Left, Right JoinSide
	Out         *engine.Schema
	Columns     []JoinColumn // one per column of Out, of its type
}

// StreamStreamSpec describes a join of two streams: a left row at l meets the
// right rows at l-Before to l+After, both inclusive. All in ms, not negative.
type StreamStreamSpec struct {
	JoinSpec
	Before, After, Grace int64
	LateSide             bool // late rows go to Context.Side(1, …) (left) and Side(2, …) (right) as they came

	width int64 // ms a chunk of rows spans; 0: the usual. For tests
}

// StreamTableSpec describes the lookup of a stream's rows in a table, inner or
// left. Port 1 takes changes of any table whose whole key is the join key; its
// rows may come from one partition or, for broadcast tables, from all.
type StreamTableSpec struct {
	JoinSpec
	// History keeps versions of a row this long, in event time, and a stream's
	// row meets the version of its own time. 0: the newest row by arrival. With
	// it port 1 is best wired to port 1 of Table, see there.
	History time.Duration
}

// TableTableSpec describes the join of two tables by equal keys, which are the
// whole key of both.
type TableTableSpec struct {
	JoinSpec
	// TTL forgets a key whose newest row is this old in event time, downstream
	// too. 0: never.
	TTL time.Duration
}

// ForeignKeySpec describes the join of two tables where Left.Key is a foreign
// key: the whole key of the right and not the left's own. See ForeignKey for
// how it is wired.
type ForeignKeySpec struct {
	JoinSpec
	LeftKey []int // columns of the left's own key
}

// TableSpec describes a table that is read from a topic.
type TableSpec struct {
	Schema *engine.Schema
	Key    []int // its key columns
	// History makes it a versioned table: the newest row is that of the greatest
	// event time, not the one that came last. Deletions are remembered this long,
	// see deletions for what is late then. 0: unversioned.
	History time.Duration
}

// VersionSpec describes the numbering of a table's changes. Out is In and a
// column of type int behind it, VersionColumn.
type VersionSpec struct {
	In, Out *engine.Schema
}

// VersionColumn is the name of the column that Version adds: no name of the
// language.
const VersionColumn = "~version"

// SettleSpec describes how changes that were numbered by Version become one
// table again. Out is In without the version.
type SettleSpec struct {
	In, Out *engine.Schema
	Key     []int // key columns of In
	Version int   // the version's column of In
}

func (s *JoinSpec) check() error {
	if len(s.Columns) != len(s.Out.Fields) {
		return fmt.Errorf("a join of %d columns and a schema of %d", len(s.Columns), len(s.Out.Fields))
	}
	for i, c := range s.Columns {
		side := s.Left.Schema
		if c.Right {
			side = s.Right.Schema
		}
		if f := s.Out.Fields[i]; f.Type != side.Fields[c.Column].Type {
			return fmt.Errorf("the join's column %q is %s and comes from a %s", f.Name, f.Type, side.Fields[c.Column].Type)
		}
	}
	l, r := s.Left.types(), s.Right.types()
	if len(l) != len(r) || len(l) == 0 {
		return fmt.Errorf("a join key of %d columns on the left and %d on the right", len(l), len(r))
	}
	for i := range l {
		if l[i] != r[i] {
			return fmt.Errorf("the join key's column %q is %s on the left and %s on the right", s.Left.Key[i].Name, l[i], r[i])
		}
	}
	return nil
}

func (s *JoinSide) types() []engine.Type {
	var types []engine.Type
	for _, k := range s.Key {
		if k.Expr != nil {
			types = append(types, k.Expr.Type())
			continue
		}
		types = append(types, s.Schema.Fields[k.From].Type)
	}
	return types
}

// print is the part of a fingerprint that all joins have: what is stored.
func (s *JoinSpec) print(verb string) string {
	b := []string{verb + " " + s.Kind.String()}
	for i, side := range []*JoinSide{&s.Left, &s.Right} {
		key := "key"
		for _, t := range side.types() {
			key += " " + t.String()
		}
		row := "row"
		for _, c := range s.needed(i == 1) {
			row += " " + side.Schema.Fields[c].Name + ":" + side.Schema.Fields[c].Type.String()
		}
		b = append(b, key, row)
	}
	return strings.Join(b, "\n")
}

// needed lists the columns of a side that are put out, each once, ascending.
func (s *JoinSpec) needed(right bool) []int {
	var need []int
	for _, c := range s.Columns {
		if c.Right == right {
			need = append(need, c.Column)
		} else if right {
			need = append(need, s.keyFrom(c.Column)...)
		}
	}
	slices.Sort(need)
	return slices.Compact(need)
}

// keyFrom gives the right's columns that are what the left's column c is where
// the left has no row: of an outer join, if c is one of its key. So a row always
// has its key, as with USING in SQL.
func (s *JoinSpec) keyFrom(c int) []int {
	if s.Kind != OuterJoin {
		return nil
	}
	for k, key := range s.Left.Key {
		if from := s.Right.Key[k].From; key.Expr == nil && key.From == c && s.Right.Key[k].Expr == nil {
			return []int{from}
		}
	}
	return nil
}

// StreamTableStores lists the store of a stream-table join.
func StreamTableStores(name string, s StreamTableSpec) []state.Spec {
	return []state.Spec{keyedStore(name, fmt.Sprintf("%s\nhistory %v", s.print("stream-table/1"), s.History > 0))}
}

// TableTableStores lists the store of a table-table join.
func TableTableStores(name string, s TableTableSpec) []state.Spec {
	return []state.Spec{keyedStore(name, s.print("table-table/1"))}
}

// TableStores lists the store of a table.
func TableStores(name string, s TableSpec) []state.Spec {
	print := fmt.Sprintf("table/1 history %v key %v", s.History > 0, s.Key)
	for _, f := range s.Schema.Fields {
		print += " " + f.Name + ":" + f.Type.String()
	}
	return []state.Spec{keyedStore(name, print)}
}

// ForeignKeyStores lists the store of a foreign-key join.
func ForeignKeyStores(name string, s ForeignKeySpec) []state.Spec {
	return []state.Spec{keyedStore(name, fmt.Sprintf("%s\nleft key %v", s.print("foreign-key/1"), s.LeftKey))}
}

// VersionStores lists the store of a numbering.
func VersionStores(name string) []state.Spec {
	return []state.Spec{keyedStore(name, "version/1")}
}

// SettleStores lists the store of a settled table.
func SettleStores(name string, s SettleSpec) []state.Spec {
	print := fmt.Sprintf("settle/1 key %v", s.Key)
	for _, f := range s.Out.Fields {
		print += " " + f.Name + ":" + f.Type.String()
	}
	return []state.Spec{keyedStore(name, print)}
}

var errOldVersion = errors.New("late: older than a deletion that the table's history has forgotten")

var errStreamSide = errors.New("changes of a table reached a stream's side of a join")
