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

func Top(s TopSpec) func(*engine.Context) (engine.Operator, error) {
	return func(*engine.Context) (engine.Operator, error) { return nil, fmt.Errorf("top is being written") }
}
