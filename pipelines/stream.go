package pipelines

import (
	"slices"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

// stream is what a name stands for: rows of a schema, and what is known of
// them. Table tells which of the two kinds it is, a stream of facts or a
// table's changes.
type stream struct {
	name   string
	source *Source    // set for sources
	step   *Transform // set for transforms
	inputs []*stream  // nil for sources
	main   *stream    // of a side output: the transform's own
	schema *engine.Schema
	lists  map[string]engine.Type // element types of the columns that hold lists; Any: not known
	broken bool                   // an error leaves the schema unknown: say no more

	table bool
	// timeless: it comes from tables alone, and holds no watermark back.
	timeless bool
	// record: the source's record is still behind each row, so key(), topic()
	// and the like may be used.
	record bool
	// key are the columns that decide which partition a row is in, as they are
	// called here; nil: unknown.
	key []string
	// wire is what they were called when the record's key was made of them.
	wire []string
	// history is how long a table keeps versions of its rows.
	history time.Duration
	// group are the columns that identify a row (with the window's): the
	// default key of sinks. nil: rows have no identity.
	group     []string
	grouped   bool
	lostGroup string // the map that dropped one of them
	window    *window.Spec
	windowed  bool // rows carry window_start and window_end
	results   bool // one row for each identity: results of windows
	update    bool // updates come before the final row of a window
	reads     int  // how many inputs name it
	// hidden are columns of the schema that a sink does not write: an
	// envelope's own.
	hidden []string
}

// scope is the columns that an expression may read.
type scope struct {
	schema *engine.Schema
	lists  map[string]engine.Type
	record bool // the source's record is behind the row
}

func (s *stream) scope() scope { return scope{s.schema, s.lists, s.record} }

// input is the first input; nil for sources.
func (s *stream) input() *stream {
	if len(s.inputs) == 0 {
		return nil
	}
	return s.inputs[0]
}

// name0 is the name of the transform it comes out of.
func (s *stream) name0() string {
	if s.main != nil {
		return s.main.name
	}
	return s.name
}

// from tells whether s comes from up, directly or not.
func (s *stream) from(up *stream) bool {
	if s == up || s.main != nil && s.main == up {
		return true
	}
	for _, in := range s.inputs {
		if in.from(up) {
			return true
		}
	}
	return false
}

// identity is the columns that tell two rows apart: the group and the window.
func (s *stream) identity() []string {
	if !s.grouped || s.group == nil {
		return nil
	}
	out := slices.Clone(s.group)
	if s.windowed {
		out = append(out, windowStart, windowEnd)
	}
	return out
}

// The columns that windows and updates add.
const (
	windowStart = "window_start"
	windowEnd   = "window_end"
	finalColumn = "final"
)

// id names the state and the internal topics of the step behind s: its name, or
// the one that it had before a rename.
func (s *stream) id() string {
	if s.step != nil && s.step.Was.Given() {
		return s.step.Was.Text
	}
	return s.name0()
}

// what names the kind of s for people.
func (s *stream) what() string {
	if s.table {
		return "a table"
	}
	return "a stream"
}
