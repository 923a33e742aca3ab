package naive

// Types of columns.
const (
	Int     = "int"
	Double  = "double"
	String  = "string"
	Bool    = "bool"
	Time    = "timestamp"
	Ints    = "[int]"
	Strs    = "[string]"
	List    = "list"      // of anything: only written, never read
	Rounded = "rounded"   // a double whose last digits depend on how it was computed: only written
	Approx  = "approx"    // a double within 1 % of what is here: only written
	Many    = "many"      // an int, exact up to 1024 and then within some 4 %: only written
	Hist    = "histogram" // here the values, in order: only written
)

// Col is a column and its type.
type Col struct{ Name, Type string }

// Spec is a pipeline.
type Spec struct {
	Sources []*Source
	Steps   []*Step
	Sinks   []*Sink
	Rest    int64 // behind the last row nothing comes for so long, ms, by the clock
}

// Source is a stream that is read, or a table.
type Source struct {
	Name      string
	Table     bool
	Broadcast bool
	Cols      []Col
	Key       []string
	EventTime string // column; "": the record's timestamp
	Disorder  int64  // max_out_of_orderness, ms
	Tidy      bool   // no row is further behind than that
	History   int64  // of a table, ms; 0: none
	// When it is silent, ms; 0: as by default.
	Idle       int64 // idle_timeout
	CloseAfter int64 // close_after_idle
}

// Assign is a column that an expression makes.
type Assign struct {
	Name string
	Expr *Expr
}

// Window is a window of an aggregate or of top. All times are milliseconds.
type Window struct {
	Type                         string
	Size, Advance, Offset, Grace int64
	Gap, Step                    int64
	Trailing                     bool
	Rows, Every                  int  // of count
	Full                         bool // of count
	Zone                         string
	CivilSize, CivilBy           Span // with a zone: size; advance or step
}

// Agg is one aggregate.
type Agg struct {
	Name, Fn string
	Args     []*Expr
	Param    any   // q, k, limit
	HalfLife int64 // ms
	Where    *Expr
	Many     bool // of count_distinct: of so many values that it is estimated
}

// Fold is one entry of a reduce.
type Fold struct {
	When   *Expr // nil: always
	Set    []Assign
	Delete bool
}

// Case is one case of a branch.
type Case struct {
	When *Expr
	As   string
}

// Pattern is one step of a detect.
type Pattern struct {
	As     string
	Where  *Expr
	Times  int // 0: once
	Absent bool
}

// Step is a transform. Which fields count follows from Type.
type Step struct {
	Name, Type string
	Input      string
	Inputs     []string // union

	Where        *Expr    // filter
	Set, Select  []Assign // map, join, detect
	Drop         []string
	Key          []Assign // rekey, dedupe, join: name and expression
	Group        []Assign // aggregate, top, reduce, detect
	Window       *Window
	Aggs         []Agg
	Having       *Expr
	Update       bool
	Throttle     int64
	Late         string // "", dead_letter, or the name of a stream
	TTL          int64
	Unnest       *Expr  // flat_map: a list
	As           string // flat_map: the element's column
	Cases        []Case // branch
	Default      string
	SourceName   string // union
	Within       int64  // dedupe, detect
	By           *Expr  // top
	K            int
	Ascending    bool
	Ties         bool
	State        []Col // reduce
	Init         []Assign
	Folds        []Fold
	ByTime       bool // reduce: order: event_time
	Kind         string
	Right        string // join: the other input
	RightKey     []string
	RightIsTable bool
	Before       int64 // stream joins
	After        int64
	Grace        int64
	Patterns     []Pattern
	SkipNone     bool  // detect: skip: none
	Version      *Expr // upcast
	Lifts        []Lift
}

// Sink writes rows to a topic of its name.
type Sink struct {
	Name, Input string
	OnlyFinal   bool
	Key, Drop   []string
}

// Row is one row with where it came from.
type Row struct {
	V      map[string]any // int64, float64, string, bool, []any, map[string]any; null is absent
	Time   int64          // event time, epoch ms
	Origin int64          // watermark of its source partition just before it
	Stamp  int64          // timestamp of a sink's record
	Part   int            // partition and offset it came from; behind a keyed step 0
	Off    int64
	Key    *string        // the record's key
	KeyV   map[string]any // of a version of a table: its key; V is nil where it was deleted
	Maybe  bool           // of a table: whether it is there at the end is a matter of how far time got
}

// Never is the origin of rows before which no time is known.
const Never = int64(-1 << 63)

// Relation is what a name stands for: a stream of facts, or a table.
type Relation struct {
	Cols     []Col
	Rows     []Row
	Table    bool
	Group    []string // what tells two rows apart; nil: nothing
	Grouped  bool
	Windowed bool
	Update   bool
	Record   bool     // the source's record is still behind each row
	PartKey  []string // columns that decide the partition; nil: unknown
	Moved    bool     // through a repartition topic of its own
	Merged   bool     // rows of one partition each of several sources, in the order in which tasks take them
	Joined   bool     // rows of joins of streams: their lateness is the join's
	Calm     bool     // no row is late, ever
	Versions []Row    // of a table with a history: all changes, in order of arrival
	History  int64
	Ordered  bool          // rows are in a defined order per partition
	Fading   bool          // rows go by a ttl
	Water    map[int]int64 // of a source: the last watermark of each partition
	window   *Window
}

// Type is the type of a column.
func (r *Relation) Type(name string) string {
	for _, c := range r.Cols {
		if c.Name == name {
			return c.Type
		}
	}
	return ""
}

// Output is what a sink must end up with.
type Output struct {
	Relation
	Keys []string // columns of the record key; nil: the record's own
}

// Result is all that a run must have written.
type Result struct {
	Sinks map[string]*Output
	// Dead counts dead letters per step (or source) and stage.
	Dead map[string]int
	// Loose are steps whose dead letters depend on how rows were batched.
	Loose map[string]bool
}

// Record is one record of a source partition.
type Record struct {
	Key   *string
	Value map[string]any // nil: a null value
	KeyV  map[string]any // of a table: the columns of its key
	Bad   bool           // does not decode
	Time  int64          // Kafka timestamp
	Lull  int64          // for so long, ms, nothing came before it, by the clock
	Part  int
	Off   int64
}

// SourceOf finds a source; nil: there is none.
func (s *Spec) SourceOf(name string) *Source {
	for _, in := range s.Sources {
		if in.Name == name {
			return in
		}
	}
	return nil
}

// WindowType is the type of the windows that rows carry; "": none.
func (r *Relation) WindowType() string {
	if !r.Windowed || r.window == nil {
		return ""
	}
	return r.window.Type
}
