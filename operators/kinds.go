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
		Name: "filter", KeepsKind: true,
		Doc: "Keeps the rows where an expression is true; null counts as false. Over a table a row that passes no longer is deleted downstream, if it had passed before.",
	},
	{
		Name: "map", KeepsKind: true,
		Doc: "Adds, replaces, selects and drops columns. All expressions read the row as it came in; a row where one fails is an error and left out.",
	},
	{
		Name: "rekey", KeepsKind: true,
		Doc: "Gives rows a new key, through a repartition topic. A change of a table that moves a row to another key is a delete at the old one and an insert at the new one.",
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
