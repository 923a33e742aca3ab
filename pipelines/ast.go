package pipelines

import (
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

// Pos is a place in a file; Line and Column count from 1, Column characters.
type Pos struct {
	File         string
	Line, Column int
}

// Word is a name or a text of a file with its place. The zero Word is absent.
type Word struct {
	Text string
	Pos  Pos
	node *node
}

// Given tells whether the word was written.
func (w Word) Given() bool { return w.node != nil }

// Expr is an expression with its place.
type Expr struct {
	Text   string
	Pos    Pos
	node   *node
	offset int // of Text in the scalar: the argument of an aggregate
}

// Set is what Load has read.
type Set struct {
	Pipelines []*Pipeline
}

// Find gives the pipeline of a name, or nil.
func (s *Set) Find(name string) *Pipeline {
	for _, p := range s.Pipelines {
		if p.Name.Text == name {
			return p
		}
	}
	return nil
}

// Pipeline is one document: the typed syntax tree, positions kept.
type Pipeline struct {
	File        string
	Pos         Pos
	Name        Word
	Description string
	Vars        []Var
	Sources     []*Source
	Transforms  []*Transform
	Sinks       []*Sink
	Dashboard   *Dashboard // nil: none
	Guarantee   engine.Guarantee
	Errors      *Errors // nil: none
	Tests       []*Test

	checked *checked // made by check; nil before
}

// Var is one typed constant.
type Var struct {
	Name  Word
	Value any // int64, float64, bool or string
}

// Source is a stream that is read.
type Source struct {
	Name      Word
	Topics    []Word
	Format    Word
	Columns   []Column
	Key       []Word
	EventTime Word // zero: the record's timestamp
	Watermark engine.WatermarkSpec
	Start     engine.Start
	LastOnly  bool // validate: columns
	Errors    *Errors
	History   time.Duration // of a table
	Broadcast bool          // of a table: all of it wherever it is joined
	wire      sourceWire
	table     bool // under tables:
	broken    bool // an error was reported that leaves its schema unknown
}

// Column is one declared column; a nested one has its path as name.
type Column struct {
	Name Word
	engine.Field
	List bool        // Type is Any, and holds a list of Elem
	Elem engine.Type // Invalid: of anything
}

// elem is the type of a list's elements; Any where it is not known.
func (c Column) elem() engine.Type {
	if c.Elem == engine.Invalid {
		return engine.Any
	}
	return c.Elem
}

// Transform is one step; Step is nil where its kind was not to be read.
type Transform struct {
	Name   Word
	Kind   string
	Input  Word
	Was    Word // its former name
	Errors *Errors
	Step   step

	node   *node
	also   []Word // names of further outputs, also of a broken step
	broken bool   // an error was reported that leaves its output unknown
}

// Assign is a column and the expression that makes it.
type Assign struct {
	Column Word
	Expr   *Expr
}

// Group is one column of a key: a column of the input by its name or path, or
// an expression.
type Group struct {
	Name   Word // what the column is called from here on
	Column Word // the input's column; zero with Expr
	Expr   *Expr
}

// Window is a window with its place.
type Window struct {
	Spec window.Spec
	node *node
}

// AggregateColumn is one aggregate: revenue: sum(amount).
type AggregateColumn struct {
	Name  Word
	Fn    Word
	Args  []*Expr
	Where *Expr
	node  *node
}

// Sink is where results go. Exactly one of the pointers is set, unless broken.
type Sink struct {
	Name   Word
	Kind   string
	Input  Word
	Errors *Errors

	Kafka *KafkaSink
	SSE   *SSESink
	Lines *LinesSink
	Alert *AlertSink

	node   *node
	broken bool
}

// KafkaSink writes a topic.
type KafkaSink struct {
	Topic     Word
	Key       []Word // with HasKey
	HasKey    bool
	Headers   map[string]string
	Drop      []Word
	OnlyFinal Word
	RFC3339   bool
	Now       bool // timestamp: now
	Exists    bool // create: false
	wire      sinkWire
}

// SSESink is a live view.
type SSESink struct {
	History      time.Duration
	MaxRows      int
	MaxKeys      int
	Refresh      time.Duration
	ResumeWindow time.Duration
	Replay       time.Duration
}

// LinesSink writes rows as lines: stdout and file.
type LinesSink struct {
	OnlyFinal Word
	Path      Word // of a file
}

// Errors are the policies of one place; gaps are filled from farther away.
type Errors struct {
	Topic        engine.Topic
	ExcludeValue bool
	Policy       map[engine.Stage]engine.Policy
	All          *engine.Policy // policy:
	MaxRate      float64
	node         *node
}

// Dashboard is the live page.
type Dashboard struct {
	Title   string
	Refresh time.Duration
	Panels  []*Panel // none: the page draws one for each number
	node    *node
}

// Panel is one chart.
type Panel struct {
	Type    string
	Title   string
	Unit    string
	View    Word
	Value   Word
	Series  Word
	Columns []Word
	Top     int
	K       int
	Fn      string
	Scale   string
	node    *node
}
