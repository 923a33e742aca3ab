package operators

import (
	"fmt"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
)

// TopSpec describes a top. Make it with its fields, then NewTop completes it.
type TopSpec struct {
	In         *engine.Schema
	Group      []GroupColumn
	By         *expr.Program // over In; a type with an order
	K          int
	Ascending  bool // order: asc; the default is the greatest first
	Ties       bool // all rows equal to the k-th, too
	TableInput bool
	// Key are the columns of In that tell a table's rows apart, without those of
	// the window for Same. They break ties; of a stream they only do that.
	Key []int
	// Window is the top's own: a stream is cut into windows by event time. Same
	// are the windows that the input's rows carry.
	Window window.Spec
	Same   bool

	// Out is the columns of In, the window's (with an own window: in place of
	// those of In), rank.
	Out  *engine.Schema
	From []int // per column of Out: that of In, or -1
}

// Closes tells whether the result is a stream, of windows that close; otherwise
// it is a table.
func (s TopSpec) Closes() bool { return !s.TableInput && (s.Same || s.Window.Kind != "") }

// KeyColumns are the columns of Out that tell the rows of the table apart that
// comes out: those of the input's rows or, over a stream, group and rank.
// The group columns stand first, where they are columns of Out.
func (s TopSpec) KeyColumns() []string {
	var names []string
	add := func(name string) {
		for _, n := range names {
			if n == name {
				return
			}
		}
		if s.Out.Lookup(name) >= 0 {
			names = append(names, name)
		}
	}
	for _, g := range s.Group {
		if g.From >= 0 {
			add(s.In.Fields[g.From].Name)
		}
	}
	if s.TableInput {
		for _, c := range s.Key {
			add(s.In.Fields[c].Name)
		}
	} else {
		add("rank")
	}
	if s.Same || s.Window.Kind != "" {
		add("window_start")
		add("window_end")
	}
	return names
}

// NewTop checks a spec and completes it with Out. The error is for the person
// who wrote it.
func NewTop(s TopSpec) (TopSpec, error) {
	switch t := s.By.Type(); t {
	case engine.Int, engine.Double, engine.Timestamp, engine.String, engine.Bytes, engine.Bool:
	default:
		return s, fmt.Errorf("top needs something with an order, and %s is %s", s.By, t)
	}
	own := s.Window.Kind != ""
	switch {
	case s.K < 1 || s.K > maxTop:
		return s, fmt.Errorf("k is from 1 to %d, not %d", maxTop, s.K)
	case own && s.Same:
		return s, fmt.Errorf("a top has one window")
	case own && s.TableInput:
		return s, fmt.Errorf("a window cuts streams, and the input is a table: use `window: same`, or `emit: close` before")
	case s.TableInput && len(s.Key) == 0:
		return s, fmt.Errorf("the rows of the table need a key")
	case !s.TableInput && !s.Closes() && s.Ties:
		return s, fmt.Errorf("the result over a stream without a window is keyed by rank, which ties share: give it a window")
	case s.Same && (s.In.Lookup("window_start") < 0 || s.In.Lookup("window_end") < 0):
		return s, fmt.Errorf("window: same needs rows of windows, and the input has none")
	case s.In.Lookup("rank") >= 0:
		return s, fmt.Errorf("the input has a column rank already: give it another name with a map before")
	}
	if own {
		if _, err := window.New(s.Window); err != nil {
			return s, err
		}
	}
	var fields []engine.Field
	s.From = nil
	for c, f := range s.In.Fields {
		if own && (f.Name == "window_start" || f.Name == "window_end" || f.Name == "final") {
			continue
		}
		fields, s.From = append(fields, f), append(s.From, c)
	}
	if own {
		fields = append(fields, engine.Field{Name: "window_start", Type: engine.Timestamp}, engine.Field{Name: "window_end", Type: engine.Timestamp})
		s.From = append(s.From, -1, -1)
	}
	s.From = append(s.From, -1)
	s.Out = engine.NewSchema(append(fields, engine.Field{Name: "rank", Type: engine.Int})...)
	return s, nil
}

// maxTop bounds k: more rows than that are no top.
const maxTop = 10000

// TopStores lists the one store of a top.
func TopStores(name string, s TopSpec) []state.Spec {
	print := []string{fmt.Sprintf("top/1 key=%s by=%s:%s k=%d asc=%v ties=%v table=%v window=%+v same=%v tie=%v",
		groupPrint(s.Group, s.In), s.By, s.By.Type(), s.K, s.Ascending, s.Ties, s.TableInput, s.Window, s.Same, s.Key)}
	for _, f := range s.In.Fields {
		print = append(print, f.Name+":"+f.Type.String())
	}
	return []state.Spec{keyedStore(name, strings.Join(print, "\n"))}
}

// Top keeps the k rows of each group, and of each window, that come first by an
// expression: the greatest, or the smallest; rows where it is null come last.
// Ties are broken by the key columns, smallest first, then by arrival. With
// ties all rows equal to the k-th are kept, too, and equal rows have one rank:
// 1, 1, 3.
//
//	stream, windows   the k first of each window, once, when it closes: a stream
//	stream, none      the k first of all so far, a table keyed by group and rank
//	table             the k first of its rows now, a table keyed as that one
//
// Of a stream only the k first rows are kept; of a table all, as one that falls
// out lets the next one in. What has changed, of a row or its rank, is sent at
// each commit, with the old row; a row that falls out is a delete.
//
// The event time of a windowed result is the window's end less 1 ms, the
// timestamp of its record that of the row. In a table it is the greatest event
// time of the row and of the changes that were sent with it. `window: same`
// closes when the watermark passes window_end: over a table the last changes
// are sent then, as final, and the window's rows are forgotten.
func Top(s TopSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		if s.Out == nil {
			return nil, fmt.Errorf("top: the spec is not complete, see NewTop")
		}
		t := &topper{spec: s, ctx: ctx, windows: s.Same || s.Window.Kind != "", closedTo: engine.MinTime, final: -1,
			topRows: newTopRows(newKeyed(ctx, ctx.Tables[0]), s.Same || s.Window.Kind != ""), out: newRows(s.Out, !s.Closes())}
		t.now.open(s)
		t.old.open(s)
		if s.Window.Kind != "" {
			var err error
			if t.assign, err = window.New(s.Window); err != nil {
				return nil, err
			}
		}
		if s.Same {
			t.start, t.end = s.In.Lookup("window_start"), s.In.Lookup("window_end")
		}
		if c := s.Out.Lookup("final"); !s.Closes() && c >= 0 && s.Out.Fields[c].Type == engine.Bool {
			t.final = c
			t.out.b.Final = make([]bool, rowsPerBatch)
		}
		t.cols = make([]engine.Column, len(s.In.Fields))
		return t, nil
	}
}
