package naive

import (
	"fmt"
	"maps"
	"slices"
	"sort"
)

// joinCols are the columns that the expressions of a join may read: the left's
// bare, the right's behind the right's name.
func joinCols(s *Step, left, right *Relation) []Col {
	cols := slices.Clone(left.Cols)
	for _, c := range right.Cols {
		cols = append(cols, Col{s.Right + "." + c.Name, c.Type})
	}
	return cols
}

// JoinColumns is a relation of those columns, for who makes expressions.
func JoinColumns(s *Step, left, right *Relation) *Relation {
	return &Relation{Cols: joinCols(s, left, right)}
}

// join brings the rows of two inputs together.
func (r *run) join(s *Step, left *Relation) (*Relation, error) {
	right := r.relations[s.Right]
	if right == nil {
		return nil, fmt.Errorf("there is no %q", s.Right)
	}
	out := *left
	out.Rows, out.Record, out.Update, out.window = nil, false, false, nil
	cols, renamed := shape(s, left.Cols)
	out.Cols = cols
	plain := []string{}
	for _, k := range s.Key {
		if k.Expr.Op == "col" {
			plain = append(plain, k.Expr.Name)
		}
	}
	out.PartKey = nil
	if left.Table {
		out.Group = renames(left.Group, renamed)
		r.result.Loose[s.Name] = true
	} else {
		out.Group, out.Grouped = nil, false
		if len(plain) == len(s.Key) {
			out.Group = renames(plain, renamed)
			out.Grouped = out.Group != nil
		}
	}
	out.Windowed = left.Windowed && out.Type("window_start") != "" && out.Type("window_end") != ""
	var pairs []Row
	switch {
	case !s.RightIsTable:
		pairs = r.streams(s, left, right)
		out.Ordered, out.Moved, out.Joined, out.Calm = false, true, true, left.Calm && right.Calm
	case left.Table:
		pairs = r.tables(s, left, right)
	default:
		pairs = r.lookup(s, left, right)
		out.Moved = true
	}
	for _, row := range pairs {
		v, err := reshape(s, cols, row.V, row.V)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		row.V, row.Key = v, nil
		out.Rows = append(out.Rows, row)
	}
	return &out, nil
}

// both is the columns of two rows; either may be nil.
func both(s *Step, left, right *Row) map[string]any {
	v := map[string]any{}
	if left != nil {
		maps.Copy(v, left.V)
	}
	if right != nil {
		for k, x := range right.V {
			v[s.Right+"."+k] = x
		}
	}
	return v
}

// leftKey is the key of a left row as text; ok is false where it has a null.
func (r *run) leftKey(s *Step, row Row) (key string, ok bool, err error) {
	g, err := grouped(s.Key, row.V)
	if err != nil || g == nil {
		return "", false, err
	}
	v := make([]any, len(s.Key))
	for i, k := range s.Key {
		v[i] = g[k.Name]
	}
	return fmt.Sprintf("%#v", v), true, nil
}

func rightKey(s *Step, row Row) (key string, ok bool) {
	v := make([]any, len(s.RightKey))
	for i, k := range s.RightKey {
		if v[i] = row.V[k]; v[i] == nil {
			return "", false
		}
	}
	return fmt.Sprintf("%#v", v), true
}

// streams pairs the rows of two streams: the right's time is in
// [left - before, left + after], and neither's window had ended by more than
// grace for the partition of the other. A row that can meet none is late.
func (r *run) streams(s *Step, left, right *Relation) (out []Row) {
	passed := func(end, origin int64) bool { return origin != Never && end < origin-s.Grace }
	type side struct {
		row Row
		key string
		ok  bool
		met bool
	}
	var ls, rs []*side
	lStays, rStays := s.stays(left, right)
	late := &Relation{Cols: joinCols(s, left, right), Moved: true, Joined: true}
	defer func() {
		switch s.Late {
		case "":
		case "dead_letter":
			for range late.Rows {
				r.bad(s.Name, "late")
			}
		default:
			r.relations[s.Late] = late
		}
	}()
	for _, row := range left.Rows {
		key, ok, err := r.leftKey(s, row)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		if passed(row.Time+s.Before+s.After, row.Origin) {
			row.V = both(s, &row, nil)
			if !lStays {
				row.Key = nil
			}
			late.Rows = append(late.Rows, row)
		} else {
			ls = append(ls, &side{row: row, key: key, ok: ok})
		}
	}
	for _, row := range right.Rows {
		key, ok := rightKey(s, row)
		if passed(row.Time+s.Before+s.After, row.Origin) {
			row.V = both(s, nil, &row)
			if !rStays {
				row.Key = nil
			}
			late.Rows = append(late.Rows, row)
		} else {
			rs = append(rs, &side{row: row, key: key, ok: ok})
		}
	}
	for _, l := range ls {
		for _, o := range rs {
			if !l.ok || !o.ok || l.key != o.key || o.row.Time < l.row.Time-s.Before || o.row.Time > l.row.Time+s.After {
				continue
			}
			if passed(l.row.Time+s.After, o.row.Origin) || passed(o.row.Time+s.Before, l.row.Origin) {
				continue
			}
			l.met, o.met = true, true
			row := Row{V: both(s, &l.row, &o.row), Time: max(l.row.Time, o.row.Time), Stamp: max(l.row.Stamp, o.row.Stamp), Origin: Never}
			out = append(out, row)
		}
	}
	for _, l := range ls {
		if !l.met && s.Kind != "inner" {
			out = append(out, Row{V: both(s, &l.row, nil), Time: l.row.Time, Stamp: l.row.Stamp, Origin: Never})
		}
	}
	for _, o := range rs {
		if !o.met && s.Kind == "outer" {
			out = append(out, Row{V: keyed(s, o.row), Time: o.row.Time, Stamp: o.row.Stamp, Origin: Never})
		}
	}
	return out
}

// stays tells which sides keep their partitions, and with them the keys of
// their records: both where the same columns of the key decide them, else the
// one whose do, the right before the left.
func (s *Step) stays(left, right *Relation) (l, r bool) {
	places := func(in *Relation, names []string) (at []int, ok bool) {
		for _, k := range in.PartKey {
			i := slices.Index(names, k)
			if i < 0 {
				return nil, false
			}
			at = append(at, i)
		}
		return at, in.PartKey != nil
	}
	var names []string
	for _, k := range s.Key {
		names = append(names, k.Expr.Name)
	}
	ls, l := places(left, names)
	rs, r := places(right, s.RightKey)
	if l && r && !slices.Equal(ls, rs) {
		l = false
	}
	return l, r
}

// lookup finds each row of a stream its row of a table: the newest, or with a
// history the one as of the row's time.
func (r *run) lookup(s *Step, left, right *Relation) (out []Row) {
	newest := map[string]*Row{}
	for i, row := range right.Rows {
		if key, ok := rightKey(s, row); ok {
			newest[key] = &right.Rows[i]
		}
	}
	for _, row := range left.Rows {
		key, ok, err := r.leftKey(s, row)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		var found *Row
		if ok {
			found = newest[key]
			if right.History > 0 {
				found = right.asOf(s, key, row)
			}
		}
		if found == nil && s.Kind == "inner" {
			continue
		}
		row.V = both(s, &row, found)
		out = append(out, row)
	}
	return out
}

// asOf is the version of a key as of a row's time; nil: none, or the row is
// older than the history.
func (r *Relation) asOf(s *Step, key string, row Row) *Row {
	if row.Origin != Never && row.Time < row.Origin-r.History {
		return nil
	}
	versions := slices.Clone(r.Versions)
	sort.SliceStable(versions, func(i, j int) bool { return versions[i].Time < versions[j].Time })
	var found *Row
	for i := range versions {
		v := &versions[i]
		if v.Time > row.Time {
			break
		}
		if k, ok := rightKey(s, Row{V: v.KeyV}); ok && k == key {
			found = v
		}
	}
	if found == nil || found.V == nil {
		return nil
	}
	return found
}

// tables joins the newest rows of two tables.
func (r *run) tables(s *Step, left, right *Relation) (out []Row) {
	newest, used := map[string]*Row{}, map[string]bool{}
	for i, row := range right.Rows {
		if key, ok := rightKey(s, row); ok {
			newest[key] = &right.Rows[i]
		}
	}
	for _, row := range left.Rows {
		key, ok, err := r.leftKey(s, row)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		var found *Row
		if ok {
			found = newest[key]
			used[key] = true
		}
		if found == nil && s.Kind == "inner" {
			continue
		}
		row.V = both(s, &row, found)
		out = append(out, row)
	}
	if s.Kind == "outer" {
		for _, key := range slices.Sorted(maps.Keys(newest)) {
			if used[key] {
				continue
			}
			row := *newest[key]
			row.V = keyed(s, row)
			out = append(out, row)
		}
	}
	return out
}

// keyed is a row of the right without a partner: the left's key columns are
// the key of both.
func keyed(s *Step, right Row) map[string]any {
	v := both(s, nil, &right)
	for i, k := range s.Key {
		if x := right.V[s.RightKey[i]]; k.Expr.Op == "col" && x != nil {
			v[k.Expr.Name] = x
		}
	}
	return v
}
