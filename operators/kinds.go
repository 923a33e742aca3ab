package operators

// Kind is a verb of the language that is an operator of this room, or, for
// rekey, of the engine's.
type Kind struct {
	Name string // as in `type:`
	Doc  string // one sentence for users
	// KeepsKind: a stream stays a stream and a table a table. The others say
	// themselves what they put out.
	KeepsKind bool
	// State: it remembers rows, so its identity matters (leat plan).
	State bool
}

// kinds is sorted by name.
var kinds = []Kind{
	{
		Name: "aggregate", State: true,
		Doc: "Counts, sums and other aggregates per group, over windows of event time or over all rows so far. " +
			"A windowed result is a stream with `emit: close` and a table with `emit: update`; without a window it is a table.",
	},
	{
		Name: "branch", KeepsKind: true,
		Doc: "Sends each row to the first case whose condition is true, or to the default. Over a table a row that moves to another case is deleted in the one and inserted in the other.",
	},
	{
		Name: "dedupe", State: true,
		Doc: "Lets the first row per key and span of event time through, and drops and counts the others: idempotent consumption of redelivered events. Rows further behind the watermark than the span are late.",
	},
	{
		Name: "detect", State: true,
		Doc: "Finds sequences of events per key, in order of event time, within a span from the first; a step may also be that something does not come. Each match is a row of a stream.",
	},
	{
		Name: "filter", KeepsKind: true,
		Doc: "Keeps the rows where an expression is true; null counts as false. Over a table a row that passes no longer is deleted downstream, if it had passed before.",
	},
	{
		Name: "flat_map",
		Doc:  "Makes a row of each element of a list, with the other columns of its row. A null or empty list makes none. The input is a stream.",
	},
	{
		Name: "join", State: true,
		Doc: "Brings the rows of two inputs together by key: of two streams within a span of time, of a stream with the rows of a table, of two tables. " +
			"Two tables make a table, the others a stream.",
	},
	{
		Name: "map", KeepsKind: true,
		Doc: "Adds, replaces, selects and drops columns. All expressions read the row as it came in; a row where one fails is an error and left out.",
	},
	{
		Name: "reduce", State: true,
		Doc: "Folds the events of a key, one after the other, into its state, a row of a table. The first case whose condition is true says what is set, or deletes the row.",
	},
	{
		Name: "rekey", KeepsKind: true,
		Doc: "Gives rows a new key, through a repartition topic. A change of a table that moves a row to another key is a delete at the old one and an insert at the new one.",
	},
	{
		Name: "top", State: true,
		Doc: "Keeps the k rows of each group, and of each window, that come first by an expression, and adds their rank. Over windows that close it is a stream; else a table, whose changes are sent at each commit.",
	},
	{
		Name: "union", KeepsKind: true,
		Doc: "Merges inputs that are all streams or all tables; nothing waits. Columns of one name have one type, and are null for an input that lacks them.",
	},
	{
		Name: "upcast", KeepsKind: true,
		Doc: "Lifts rows of old versions to the newest, step by step. A version that no step knows, or none, is an error of the row.",
	},
}

// Kinds lists all verbs, sorted by name.
func Kinds() []Kind { return kinds }

// Lookup finds a verb by its name.
func Lookup(name string) (Kind, bool) {
	for _, k := range kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}
