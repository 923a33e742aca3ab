package engine

import (
	"encoding/json"
	"time"

	"github.com/leatstream/leat/state"
)

// Topology is a checked pipeline: immutable once built, shared by all tasks.
//
//	sources ─▶ nodes ─▶ sinks            sub-topology 0, one task per partition
//	             └─▶ repartition topic
//	                     └─▶ nodes ─▶ sinks   sub-topology 1
type Topology struct {
	Pipeline    string
	Generation  int
	Description string
	Guarantee   Guarantee
	Subs        []*SubTopology
	Views       []ViewSpec
	Alerts      []string         // sinks that push to browsers
	Files       map[Topic]string // paths of file sinks, by their pseudo topics (FileTopic)
	Dashboard   []byte           // JSON of the dashboard, for the page; nil: none
	MaxRate     float64          // errors.max_rate as a fraction; 0: none
	Fingerprint string           // of what makes state and internal topics compatible
	Parts       map[string]Part  // the same, part by part: StorePart and its siblings name them
}

// Title is the pipeline's title for people: the dashboard's, else its name.
func (t *Topology) Title() string {
	var d struct {
		Title string `json:"title"`
	}
	if json.Unmarshal(t.Dashboard, &d) == nil && d.Title != "" {
		return d.Title
	}
	return t.Pipeline
}

// Guarantee is the delivery guarantee.
type Guarantee uint8

// The guarantees.
const (
	ExactlyOnce Guarantee = iota
	AtLeastOnce
)

// SubTopology is the part of a topology between topics.
type SubTopology struct {
	ID      int
	Sources []*SourceSpec // all co-partitioned: task p reads partition p of each
	Nodes   []*NodeSpec   // in topological order; inputs come before their users
}

// NodeSpec describes one operator.
type NodeSpec struct {
	Name string // the transform's, sink's or topic's name: identity of its state
	// Step is the name that people gave the step that the node belongs to, for
	// errors: a step may be several nodes. "": Name.
	Step string
	// Identity is Name, or where the step was renamed the name by which its
	// state knows it; "": Name.
	Identity string
	Kind     string // for people: filter, aggregate, sink:kafka, repartition, …
	Inputs   []int  // ≥ 0: a node of this sub-topology; < 0: source ^i
	Ports    []int  // which output of each of Inputs; nil: all the first, 0 (see Context.Side)
	Schema   *Schema
	Table    bool // emits changes
	Stores   []state.Spec
	// New opens the operator for one task.
	New func(*Context) (Operator, error)
	// Outputs are the topics this node writes, for plan and create.
	Outputs []TopicSpec
	// EventStamps: the records of Outputs carry event times, so that a topic's
	// retention counts from those (kafka sinks without timestamp: now).
	EventStamps bool
	// Hold is how far past a row's event time the watermark has to be before all
	// that comes of the row has been emitted; 0: it is emitted at once.
	Hold time.Duration
	// Errors are the node's error policies and dead-letter topic.
	Errors ErrorPolicy
	// Notes are lines for explain ("order-dependent: first", …).
	Notes []string
}

// id is the name by which the node's state knows it.
func (n *NodeSpec) id() string {
	if n.Identity != "" {
		return n.Identity
	}
	return n.Name
}

// step is what errors call the node.
func (n *NodeSpec) step() string {
	if n.Step != "" {
		return n.Step
	}
	return n.Name
}

// ErrorPolicy is what happens per stage, and where dead letters go.
type ErrorPolicy struct {
	Topic        Topic // dead-letter topic; "": none
	IncludeValue bool
	Stages       map[Stage]Policy // a stage not named has the default of docs/language.md
}

// Of gives the policy of a stage, with the language's defaults: dead_letter
// when a topic is given, else fail; event_time and late skip and count.
func (p ErrorPolicy) Of(s Stage) Policy {
	if v, ok := p.Stages[s]; ok {
		return v
	}
	if s == StageLate {
		return Skip
	}
	if p.Topic != "" {
		return DeadLetter
	}
	if s == StageEventTime {
		return Skip
	}
	return Fail
}

// SourceSpec describes what a sub-topology reads.
type SourceSpec struct {
	Name        string
	Topics      []Topic
	Repartition bool // internal: rows, partials and stamps from Upstream
	Upstream    int  // sub-topology that writes it
	Schema      *Schema
	KeyColumns  []string // the record key carries these columns
	// Table: rows are the newest per key. The batches are raw changes: Insert
	// for a value, Delete for a tombstone, with the key columns, read from the
	// record's key, in Old and all others null. operators.Table makes changes of
	// them that tell the old row.
	Table bool
	// Whole: the table behind a repartition topic is there, as it was at the
	// start, before rows of streams go. Who writes it is RepartitionWhole.
	Whole bool
	// Copies: each partition of the repartition topic has all rows.
	Copies bool
	// Timeless sources (tables) hold no watermark back: an operator's watermark
	// is the least of its other inputs, or of all where all are timeless.
	Timeless   bool
	NewDecoder func() Decoder
	EventTime  int // column, or -1: the record's own timestamp
	Start      Start
	Watermark  WatermarkSpec
	Errors     ErrorPolicy
	// ByteColumns hint: columns some operator or sink reads; others need not be decoded.
}

// WatermarkSpec is a source's time policy.
type WatermarkSpec struct {
	MaxOutOfOrderness time.Duration // default 5s
	IdleTimeout       time.Duration // default 30s
	CloseAfterIdle    time.Duration // 0: off; behind a repartition topic: that of all that is upstream
	MaxFuture         time.Duration // default 30m
}

// ViewSpec is a live view: what the hub must know of an sse sink.
type ViewSpec struct {
	Name         string        `json:"name"` // <pipeline>/<sink>
	Pipeline     string        `json:"pipeline"`
	Sink         string        `json:"sink"`
	Topic        Topic         `json:"topic"` // <pipeline>.<sink>.view
	Columns      []ViewColumn  `json:"columns"`
	KeyColumns   []string      `json:"key"`      // identity of a row: group key, and window_start, window_end for windows
	Windowed     bool          `json:"windowed"` // rows carry window_start and window_end; History applies
	Stream       bool          `json:"stream"`   // rows without a key: newest MaxRows
	History      time.Duration `json:"history"`
	MaxRows      int           `json:"max_rows"`
	MaxKeys      int           `json:"max_keys"`
	Refresh      time.Duration `json:"refresh"`
	ResumeWindow time.Duration `json:"resume_window"`
	Replay       time.Duration `json:"replay"`          // how far back every frame can be shown as it was
	Reach        time.Duration `json:"reach,omitempty"` // how long before its window's end, at most, a row may have been appended; 0: not known
	Generation   int           `json:"generation"`
	Tasks        int           `json:"tasks"` // partitions of the view topic
	Dashboard    []byte        `json:"-"`
}

// ViewColumn is one column of a view's rows.
type ViewColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}
