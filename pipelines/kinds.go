package pipelines

import (
	"fmt"
	"slices"
	"strings"
)

// Key is one key of a construct: what may be written under it.
type Key struct {
	Name     string
	Type     string // for people: "duration", "list of columns", …
	Required bool
	Unless   string // this key: then it is not required
	Default  string
	Doc      string
	Group    string   // the group of constructs that stand under this key, for "belongs under …"
	Not      []string // words of other systems for the same thing: hints only, never accepted
}

// Kind is one construct of the language: a mapping with known keys.
type Kind struct {
	Group string // source, transform, window, …
	Name  string // its type: word, or "" where the group has one form only
	Doc   string
	Keys  []Key
}

// title names the kind in messages.
func (k *Kind) title() string {
	if k.Name == "" {
		return k.Group
	}
	return k.Name + " " + k.Group
}

func (k *Kind) key(name string) *Key {
	for i := range k.Keys {
		if k.Keys[i].Name == name {
			return &k.Keys[i]
		}
	}
	return nil
}

func (k *Kind) names() []string {
	out := make([]string, len(k.Keys))
	for i := range k.Keys {
		out[i] = k.Keys[i].Name
	}
	return out
}

// kinds is the whole language in one table. Load checks files against it,
// unknown keys get their suggestions from it, and docs/reference.md is made
// from it. To add a construct: one entry here, one case where its group is
// read (transform.go, sink.go, …), one case in testdata.
var kinds = []*Kind{
	{Group: "pipeline", Doc: "One YAML document is one pipeline.", Keys: []Key{
		{Name: "version", Type: "1", Required: true, Doc: "Version of the language."},
		{Name: "name", Type: "pipeline name", Required: true, Doc: "Application id: consumer group, prefix of internal topics and of state. `[a-z0-9][a-z0-9-]{0,59}`."},
		{Name: "description", Type: "text", Doc: "One line for people; shown by `leat explain` and on the dashboard."},
		{Name: "vars", Type: "mapping of constants", Doc: "Typed constants: `vars.limit` in expressions. The type follows the text: `1` int, `1.5` double, `true` bool, anything else or quoted: string."},
		{Name: "sources", Type: "mapping name: source", Required: true, Unless: "tables", Group: "source", Doc: "Streams that are read.", Not: []string{"source", "inputs", "input"}},
		{Name: "tables", Type: "mapping name: table", Group: "table", Doc: "Topics read as the newest row per key."},
		{Name: "transforms", Type: "list of transforms", Group: "transform", Doc: "What happens to the rows, in order.", Not: []string{"processors", "steps", "operators"}},
		{Name: "sinks", Type: "list of sinks", Required: true, Group: "sink", Doc: "Where results go.", Not: []string{"outputs", "output", "sink"}},
		{Name: "dashboard", Type: "dashboard", Group: "dashboard", Doc: "The live page `/d/<pipeline>`. `{}` draws a panel for each number."},
		{Name: "delivery", Type: "exactly_once or at_least_once", Default: "exactly_once", Doc: "Delivery guarantee; never downgraded silently."},
		{Name: "errors", Type: "errors", Group: "errors", Doc: "What happens to records that go wrong."},
		{Name: "tests", Type: "list of tests", Group: "test", Doc: "Run by `leat test`."},
	}},
	{Group: "source", Name: "kafka", Doc: "Reads one or more Kafka topics as a stream.", Keys: []Key{
		{Name: "type", Type: "kafka", Default: "kafka", Doc: "Kind of source."},
		{Name: "topic", Type: "topic", Doc: "The topic to read; or `topics`."},
		{Name: "topics", Type: "list of topics", Doc: "Several topics with one schema."},
		{Name: "format", Type: "json, avro, protobuf, csv, string or bytes", Default: "json", Doc: "How values are encoded. `string` and `bytes` have one column, `value`."},
		{Name: "schema", Type: "mapping column: type", Doc: "Columns to read: `string int double bool timestamp bytes any`, `timestamp(s|ms|us|ns)`, lists `[double]`, nested `{lat: double}` (addressed as `loc.lat`). Others are not read. Avro and protobuf may leave it to their own schema.", Not: []string{"fields", "columns"}},
		{Name: "subject", Type: "text", Default: "`<topic>-value`", Doc: "Where the schema registry has the schema of avro or protobuf values."},
		{Name: "schema_file", Type: "path", Doc: "An `.avsc` or `.proto` file, relative to this one: values are bare, all of this schema."},
		{Name: "message", Type: "text", Default: "the first of the file", Doc: "The protobuf message of the schema."},
		{Name: "key", Type: "list of columns", Doc: "The record key already carries these columns: grouping by them (and more) needs no repartition."},
		{Name: "event_time", Type: "column or {field, max_future}", Default: "the record's timestamp", Group: "event_time", Doc: "Which column is the time of a row.", Not: []string{"timestamp", "time"}},
		{Name: "watermark", Type: "watermark", Group: "watermark", Doc: "How event time moves on."},
		{Name: "start", Type: "earliest, latest or a timestamp", Default: "earliest", Doc: "Where to begin; only where the group has no offsets yet.", Not: []string{"offset", "auto_offset_reset", "from"}},
		{Name: "validate", Type: "full or columns", Default: "full", Doc: "`full` checks the whole JSON record; `columns` stops at the last column that is needed and does not see what is wrong behind it."},
		{Name: "envelope", Type: "debezium or outbox", Doc: "Values are changes of rows; `schema` and `key` are the row's. `debezium`: a row per change, with `op()` (`c`, `u`, `d`, `r`) and the column `before`; `outbox`: a row per event, from its payload."},
		{Name: "csv", Type: "{header, delimiter}", Group: "csv", Doc: "Options of the csv format."},
		{Name: "errors", Type: "errors", Group: "errors", Doc: "Error policies of this source; the pipeline's fill the gaps."},
	}},
	{Group: "event_time", Doc: "The long form of `event_time`.", Keys: []Key{
		{Name: "field", Type: "column", Required: true, Doc: "A timestamp column."},
		{Name: "max_future", Type: "duration", Default: "30m", Doc: "A row further ahead of its own Kafka timestamp than this is an event_time error and moves no time."},
	}},
	{Group: "watermark", Doc: "A partition's watermark is the greatest event time seen minus `max_out_of_orderness`; a task's is the minimum over its partitions that are not idle.", Keys: []Key{
		{Name: "max_out_of_orderness", Type: "duration", Default: "5s", Doc: "How much later than its neighbours a row may come.", Not: []string{"lateness", "allowed_lateness", "max_delay", "delay"}},
		{Name: "idle_timeout", Type: "duration", Default: "30s", Doc: "A partition read to its end and silent for this long no longer holds time back.", Not: []string{"idleness"}},
		{Name: "close_after_idle", Type: "duration", Default: "off", Doc: "When all is silent for this long, time moves on with the clock, so that the last windows come out."},
	}},
	{Group: "table", Name: "kafka", Doc: "Reads a topic as a table: the newest row per key. A null value deletes the key's row.", Keys: []Key{
		{Name: "type", Type: "kafka", Default: "kafka", Doc: "Kind of table."},
		{Name: "topic", Type: "topic", Required: true, Doc: "The topic to read, usually a compacted one."},
		{Name: "key", Type: "list of columns", Required: true, Doc: "The columns that the record key carries: one row for each key.", Not: []string{"group_by", "primary_key"}},
		{Name: "format", Type: "json, avro, protobuf, csv, string or bytes", Default: "json", Doc: "How values are encoded."},
		{Name: "schema", Type: "mapping column: type", Doc: "As of a source.", Not: []string{"fields", "columns"}},
		{Name: "subject", Type: "text", Default: "`<topic>-value`", Doc: "As of a source."},
		{Name: "schema_file", Type: "path", Doc: "As of a source."},
		{Name: "message", Type: "text", Default: "the first of the file", Doc: "As of a source."},
		{Name: "event_time", Type: "column or {field, max_future}", Default: "the record's timestamp", Group: "event_time", Doc: "Which column is the time of a row."},
		{Name: "history", Type: "duration", Doc: "Keeps versions of a row this long: a stream's row meets the one of its own time, and the newest row is that of the greatest event time. Absent: the row that came last."},
		{Name: "broadcast", Type: "bool", Default: "false", Doc: "For small tables: where rows of a stream are joined with it, each task has a copy of the whole table, so that neither side moves and counts of partitions need not match."},
		{Name: "envelope", Type: "debezium", Doc: "Values are changes of rows; `schema` and `key` are the row's, and deletes delete."},
		{Name: "csv", Type: "{header, delimiter}", Group: "csv", Doc: "Options of the csv format."},
		{Name: "validate", Type: "full or columns", Default: "full", Doc: "As of a source."},
		{Name: "errors", Type: "errors", Group: "errors", Doc: "Error policies of this table; the pipeline's fill the gaps."},
	}},
	{Group: "csv", Doc: "Options of the csv format.", Keys: []Key{
		{Name: "header", Type: "bool", Default: "false", Doc: "A value has a line of column names before its row."},
		{Name: "delimiter", Type: "one character", Default: ",", Doc: "What stands between fields."},
	}},

	{Group: "transform", Name: "filter", Doc: "Keeps rows where the expression is true; null counts as false.", Keys: transformKeys(
		Key{Name: "where", Type: "expression", Required: true, Doc: "A condition over the row's columns.", Not: []string{"condition", "when", "if", "predicate"}},
	)},
	{Group: "transform", Name: "map", Doc: "Changes columns. All entries read the row as it came in.", Keys: transformKeys(
		Key{Name: "set", Type: "mapping column: expression", Doc: "Adds or replaces columns.", Not: []string{"add", "fields"}},
		Key{Name: "select", Type: "mapping column: expression, or list of columns", Doc: "Keeps only the columns named, in order: `[a, {b: a + 1}]` or `{a: a, b: a + 1}`."},
		Key{Name: "drop", Type: "list of columns", Doc: "Removes columns.", Not: []string{"remove", "delete"}},
	)},
	{Group: "transform", Name: "rekey", Doc: "Gives rows a new record key, through a repartition topic.", Keys: transformKeys(
		Key{Name: "key", Type: "list of columns", Required: true, Doc: "Columns of the new key: names, paths or `{name: expression}`.", Not: []string{"by", "group_by", "columns"}},
	)},
	{Group: "transform", Name: "aggregate", Doc: "Aggregates rows per group, and per window where one is given.", Keys: transformKeys(
		Key{Name: "group_by", Type: "list of columns", Required: true, Doc: "Names, paths (`geo.city` gives column `city`) or `{name: expression}`. `[]` is one group.", Not: []string{"key", "by", "keys"}},
		Key{Name: "window", Type: "window", Group: "window", Doc: "Absent: all rows so far."},
		Key{Name: "aggregates", Type: "mapping column: aggregate", Required: true, Group: "aggregate", Doc: "`revenue: sum(amount)`, or the long form.", Not: []string{"aggregations", "select", "set"}},
		Key{Name: "having", Type: "expression", Doc: "Keeps results; reads group columns, aggregates and the window's."},
		Key{Name: "emit", Type: "close, update or {mode, throttle}", Group: "emit", Default: "close for windows, else update", Doc: "When results are written."},
		Key{Name: "late", Type: "drop, dead_letter or {as: name}", Group: "late", Default: "drop", Doc: "What happens to rows whose window has closed. `{as: name}` makes them a stream of that name, as they came.", Not: []string{"late_rows"}},
		Key{Name: "ttl", Type: "duration", Doc: "Forgets a group this long after its last row, in event time; downstream too. Without a window, or with one of type count."},
	)},
	{Group: "transform", Name: "flat_map", Doc: "One row per element of a list; a null or empty list makes none. Behind it `key()` and the like are gone.", Keys: transformKeys(
		Key{Name: "unnest", Type: "expression", Required: true, Doc: "A list: a column or, for example, `split(tags, \",\")`.", Not: []string{"list", "field", "column"}},
		Key{Name: "as", Type: "column", Required: true, Doc: "The column that takes the element."},
	)},
	{Group: "transform", Name: "branch", Doc: "Sends each row to the first case that takes it; each `as` is an input name for later transforms and sinks. Rows of no case go to `default`, or are dropped.", Keys: transformKeys(
		Key{Name: "cases", Type: "list of cases", Required: true, Group: "case", Doc: "In order: the first match wins."},
		Key{Name: "default", Type: "name", Doc: "The name for the rows that no case takes."},
	)},
	{Group: "case", Doc: "One case of a branch.", Keys: []Key{
		{Name: "when", Type: "expression", Required: true, Doc: "A condition; null counts as false.", Not: []string{"where", "if", "condition"}},
		{Name: "as", Type: "name", Required: true, Doc: "The name of what it takes.", Not: []string{"name", "to"}},
	}},
	{Group: "transform", Name: "union", Doc: "Merges streams, or tables of one key. Columns of one name must have one type; those an input lacks are null.", Keys: lessKey("input", transformKeys(
		Key{Name: "inputs", Type: "list of names", Required: true, Doc: "What is merged.", Not: []string{"input", "sources", "from"}},
		Key{Name: "source_name", Type: "column", Doc: "A column that takes the name of the input that a row came from."},
	))},
	{Group: "transform", Name: "join", Doc: "Joins two streams within a span of time (`stream`), the rows of a stream with a table (`table`), or two tables (`table`). " +
		"The left is `input`. `set`, `select` and `drop` are those of `map`, with the left's columns bare and the right's as `<name>.<column>`, null where nothing matched; with none of them the left's columns go on.", Keys: transformKeys(
		Key{Name: "kind", Type: "inner, left or outer", Default: "inner", Doc: "`left` keeps rows of the left without a match, `outer` those of both sides. Stream with table: inner or left.", Not: []string{"how"}},
		Key{Name: "stream", Type: "name", Doc: "The right side, a stream."},
		Key{Name: "table", Type: "name", Doc: "The right side, a table."},
		Key{Name: "key", Type: "list of columns, or mapping left: right", Required: true, Group: "", Doc: "`[user_id]` on both sides, or `{seller: id}`; the left may be an expression: a list of `{left, right}`. Of a table it names the whole key.", Not: []string{"on", "by", "keys", "using"}},
		Key{Name: "within", Type: "duration or {before, after}", Group: "within", Doc: "Two streams: the right row's time is in [left - before, left + after], both ends included."},
		Key{Name: "grace", Type: "duration", Default: "0s", Doc: "Two streams: how long after its bound a row is still waited for."},
		Key{Name: "late", Type: "drop, dead_letter or {as: name}", Group: "late", Default: "drop", Doc: "Two streams: what happens to rows that come after that. `{as: name}` makes those of both sides a stream of that name: the left's columns bare, the right's as `<name>.<column>`, null in rows of the other side."},
		Key{Name: "ttl", Type: "duration", Doc: "Two tables: forgets a key this long after its last change, downstream too."},
		Key{Name: "set", Type: "mapping column: expression", Doc: "Adds or replaces columns."},
		Key{Name: "select", Type: "mapping column: expression, or list of columns", Doc: "Keeps only these."},
		Key{Name: "drop", Type: "list of columns", Doc: "Leaves these out."},
	)},
	{Group: "join key", Doc: "One column of a join's key.", Keys: []Key{
		{Name: "left", Type: "expression", Required: true, Doc: "Over the left's columns."},
		{Name: "right", Type: "column", Required: true, Doc: "A column of the right."},
	}},
	{Group: "within", Doc: "The long form of `within`.", Keys: []Key{
		{Name: "before", Type: "duration", Default: "0s", Doc: "How much earlier than the left row the right one may be."},
		{Name: "after", Type: "duration", Default: "0s", Doc: "How much later."},
	}},
	{Group: "transform", Name: "dedupe", Doc: "Lets the first row per key and span of time pass: idempotent consumption of redelivered events. A row further than `within` behind the watermark of its partition is late, and dropped.", Keys: transformKeys(
		Key{Name: "key", Type: "list of columns", Required: true, Doc: "What makes two rows the same: names, paths or `{name: expression}`.", Not: []string{"by", "group_by", "columns", "on"}},
		Key{Name: "within", Type: "duration", Required: true, Doc: "A row of a key is dropped when one that passed is at most this far from it, in event time.", Not: []string{"window", "ttl"}},
	)},
	{Group: "transform", Name: "top", Doc: "The top k rows, per group and window; adds the column `rank`. Over a table (and without a window) it is a table that follows every change; over a stream it needs a window.", Keys: transformKeys(
		Key{Name: "by", Type: "expression", Required: true, Doc: "What rows are ranked by. Null ranks last.", Not: []string{"order_by", "sort"}},
		Key{Name: "k", Type: "int", Required: true, Doc: "How many.", Not: []string{"limit", "n"}},
		Key{Name: "order", Type: "desc or asc", Default: "desc", Doc: "`desc`: the greatest first."},
		Key{Name: "ties", Type: "bool", Default: "false", Doc: "`true`: all rows equal to the k-th, too. Else ties are broken by the rows' key, then by arrival."},
		Key{Name: "group_by", Type: "list of columns", Default: "none: one group, in one partition", Doc: "A top for each group."},
		Key{Name: "window", Type: "same, or a tumbling or hopping window", Group: "window", Doc: "`same`: per window of the input's rows, closing with it. Its own: rows are cut into windows by event time."},
	)},
	{Group: "transform", Name: "reduce", Doc: "Event-sourced state: each row of a group changes its state by the first `fold` that matches. The result is a table of states; a row that leaves the state as it was sends nothing.", Keys: transformKeys(
		Key{Name: "group_by", Type: "list of columns", Required: true, Doc: "Whose state it is.", Not: []string{"key", "by", "keys"}},
		Key{Name: "state", Type: "mapping column: type", Required: true, Doc: "The columns of the state."},
		Key{Name: "init", Type: "mapping column: expression", Default: "null", Doc: "The state before the first row, over the columns of that row."},
		Key{Name: "fold", Type: "list of {when, set, delete}", Required: true, Group: "fold", Doc: "In order, first match wins; no match leaves the state. Bare names are the row's, `state.x` the state's."},
		Key{Name: "emit", Type: "update or {mode, throttle}", Group: "emit", Default: "update", Doc: "How often a changed state is written."},
		Key{Name: "ttl", Type: "duration", Doc: "Forgets a group this long after its last row, in event time; downstream too."},
		Key{Name: "order", Type: "arrival or event_time", Default: "arrival", Doc: "`event_time` waits for the watermark and folds rows in order of their time."},
		Key{Name: "snapshot", Type: "text", Doc: "Not needed: the newest state is the snapshot, kept in the changelog."},
	)},
	{Group: "fold", Doc: "One case of a reduce's `fold`.", Keys: []Key{
		{Name: "when", Type: "expression", Default: "always", Doc: "Condition over the row and `state.…`.", Not: []string{"where", "if"}},
		{Name: "set", Type: "mapping column: expression", Doc: "New values; all of them read the old state."},
		{Name: "delete", Type: "true", Doc: "The state is deleted."},
	}},
	{Group: "transform", Name: "upcast", Doc: "Lifts rows of old versions to the newest before anything else sees them. The newest version is the last step's `from` and one; any other that no step knows is an error of the row.", Keys: transformKeys(
		Key{Name: "version", Type: "expression", Required: true, Doc: "The row's version, an int. As a plain column it goes out as the newest."},
		Key{Name: "steps", Type: "list of {from, set, drop}", Required: true, Group: "upcast step", Doc: "In order of `from`."},
	)},
	{Group: "upcast step", Doc: "Lifts a row by one version.", Keys: []Key{
		{Name: "from", Type: "int", Required: true, Doc: "The version that it lifts."},
		{Name: "set", Type: "mapping column: expression", Doc: "Adds or replaces columns; reads the row as it was before the step."},
		{Name: "drop", Type: "list of columns", Doc: "Columns that newer versions do not have."},
	}},
	{Group: "transform", Name: "detect", Doc: "Finds sequences of rows per group, in order of event time; rows between the steps are skipped. An absent last step matches when the watermark passes `within`.", Keys: transformKeys(
		Key{Name: "group_by", Type: "list of columns", Required: true, Doc: "Whose rows make a sequence.", Not: []string{"key", "by", "keys"}},
		Key{Name: "pattern", Type: "list of steps", Required: true, Group: "pattern step", Doc: "In order.", Not: []string{"steps", "sequence"}},
		Key{Name: "within", Type: "duration", Required: true, Doc: "From the row of the first step to the last."},
		Key{Name: "select", Type: "mapping column: expression", Default: "group_by, started_at, matched_at", Doc: "What comes out: `<step>.<column>` reads the row that a step took."},
		Key{Name: "skip", Type: "past_last or none", Default: "past_last", Doc: "`past_last`: the next match begins after this one. `none`: matches may overlap."},
	)},
	{Group: "pattern step", Doc: "One step of a pattern.", Keys: []Key{
		{Name: "as", Type: "name", Required: true, Doc: "Its name in later conditions and in `select`."},
		{Name: "where", Type: "expression", Default: "any row", Doc: "Which rows it takes; may read earlier steps: `a.amount`.", Not: []string{"when", "if"}},
		{Name: "times", Type: "int", Default: "1", Doc: "How many such rows; the last one is what `as` names."},
		{Name: "absent", Type: "true", Doc: "No such row may come between the steps around it or, at the end, before `within` is over."},
	}},

	{Group: "aggregate", Doc: "The long form of an aggregate.", Keys: []Key{
		{Name: "fn", Type: "aggregate function", Required: true, Doc: "count, sum, avg, …", Not: []string{"function", "type", "func"}},
		{Name: "of", Type: "expression", Doc: "The first argument.", Not: []string{"column", "field", "expr", "value"}},
		{Name: "by", Type: "expression", Doc: "The second argument of arg_min and arg_max."},
		{Name: "ts", Type: "expression", Doc: "The time of a write, of lww and lww_map."},
		{Name: "actor", Type: "expression", Doc: "Who wrote, of the replicated types."},
		{Name: "op", Type: "expression", Doc: "`add` or `remove`, of or_set."},
		{Name: "tag", Type: "expression", Doc: "What tells two additions apart, of or_set."},
		{Name: "v", Type: "expression", Doc: "The value, of lww_map."},
		{Name: "q", Type: "number", Doc: "The quantile, between 0 and 1."},
		{Name: "k", Type: "int", Doc: "How many, of top_k."},
		{Name: "limit", Type: "int", Doc: "The most elements of collect and collect_set."},
		{Name: "half_life", Type: "duration", Doc: "The half-life of ema."},
		{Name: "where", Type: "expression", Doc: "Only rows for which this is true.", Not: []string{"filter", "when", "if"}},
	}},
	{Group: "window", Name: "tumbling", Doc: "[start, start + size), back to back.", Keys: windowKeys(
		Key{Name: "size", Type: "duration", Required: true, Doc: "Length.", Not: []string{"duration", "length", "width"}},
		Key{Name: "offset", Type: "duration", Default: "0s", Doc: "Shifts the starts."},
		Key{Name: "time_zone", Type: "IANA zone", Doc: "Aligns to the civil calendar: `1d` is a civil day, `1w` starts on Monday, also `1mo`, `1y`.", Not: []string{"timezone", "zone", "tz"}},
	)},
	{Group: "window", Name: "hopping", Doc: "[start, start + size), one at every multiple of `advance`.", Keys: windowKeys(
		Key{Name: "size", Type: "duration", Required: true, Doc: "Length.", Not: []string{"duration", "length", "width"}},
		Key{Name: "advance", Type: "duration", Required: true, Doc: "From one start to the next.", Not: []string{"slide", "step", "period", "hop", "every", "interval"}},
		Key{Name: "offset", Type: "duration", Default: "0s", Doc: "Shifts the starts."},
		Key{Name: "time_zone", Type: "IANA zone", Doc: "Aligns to the civil calendar.", Not: []string{"timezone", "zone", "tz"}},
	)},
	{Group: "window", Name: "sliding", Doc: "Windows [t - size, t] that follow the rows, both ends inclusive.", Keys: windowKeys(
		Key{Name: "size", Type: "duration", Required: true, Doc: "Length.", Not: []string{"duration", "length", "width"}},
		Key{Name: "mode", Type: "exact or trailing", Default: "exact", Doc: "`exact`: each distinct window that Kafka Streams' SlidingWindows defines. `trailing`: one row per event, over the time up to it."},
	)},
	{Group: "window", Name: "session", Doc: "Rows at most `gap` apart: [first, last], both inclusive. A row that bridges two sessions merges them.", Keys: windowKeys(
		Key{Name: "gap", Type: "duration", Required: true, Doc: "The longest silence within a session, inclusive.", Not: []string{"timeout", "inactivity", "inactivity_gap", "size"}},
	)},
	{Group: "window", Name: "cumulate", Doc: "[start, start + step·k) up to size: totals of the day so far.", Keys: windowKeys(
		Key{Name: "size", Type: "duration", Required: true, Doc: "The longest window."},
		Key{Name: "step", Type: "duration", Required: true, Doc: "How much longer each window is than the one before.", Not: []string{"advance", "every"}},
		Key{Name: "offset", Type: "duration", Default: "0s", Doc: "Shifts the starts."},
		Key{Name: "time_zone", Type: "IANA zone", Doc: "Aligns to the civil calendar.", Not: []string{"timezone", "zone", "tz"}},
	)},
	{Group: "window", Name: "count", Doc: "The last rows of each key, by arrival.", Keys: []Key{
		{Name: "type", Type: "kind", Required: true, Doc: "Kind of window."},
		{Name: "size", Type: "int", Required: true, Doc: "How many rows."},
		{Name: "advance", Type: "int", Default: "1", Doc: "A result after every so many rows."},
		{Name: "full", Type: "bool", Default: "false", Doc: "No result before `size` rows have come."},
	}},
	{Group: "window", Name: "same", Doc: "The window of the input's rows; closes when theirs has. Also written `window: same`.", Keys: []Key{
		{Name: "type", Type: "kind", Required: true, Doc: "Kind of window."},
	}},

	{Group: "emit", Doc: "The long form of `emit`.", Keys: []Key{
		{Name: "mode", Type: "close or update", Required: true, Doc: "`close` writes each window once, when the watermark passes its end plus grace; `update` writes changed rows, then the final one with `final: true`.", Not: []string{"on", "type"}},
		{Name: "throttle", Type: "duration", Default: "each commit", Doc: "A changed row is written at most this often (update).", Not: []string{"every", "interval"}},
	}},
	{Group: "late", Doc: "Late rows as an input of later transforms.", Keys: []Key{
		{Name: "as", Type: "name", Required: true, Doc: "The name."},
	}},

	{Group: "sink", Name: "kafka", Doc: "Writes rows to a topic; a delete is a tombstone.", Keys: sinkKeys(
		Key{Name: "topic", Type: "topic", Required: true, Doc: "The topic to write."},
		Key{Name: "key", Type: "list of columns, or {columns, format}", Group: "key", Default: "the group_by columns (updates of windows: with window_start, of sessions with window_end, too)", Doc: "The record key. One column is its text, several a JSON object."},
		Key{Name: "format", Type: "json, avro, protobuf, csv, string or bytes", Default: "json", Doc: "How values are encoded. `string` and `bytes` write one column."},
		Key{Name: "csv", Type: "{header, delimiter}", Group: "csv", Doc: "Options of the csv format."},
		Key{Name: "headers", Type: "mapping name: text", Doc: "Headers of every record."},
		Key{Name: "drop", Type: "list of columns", Doc: "Columns that are not written.", Not: []string{"remove", "exclude"}},
		Key{Name: "only", Type: "final", Doc: "`final`: of updated windows write the final row only."},
		Key{Name: "timestamps", Type: "epoch_ms or rfc3339", Default: "epoch_ms", Doc: "How timestamp columns are written."},
		Key{Name: "timestamp", Type: "event or now", Default: "event", Doc: "The Kafka timestamp of records: the row's event time, or the time of writing where the topic would not keep event times."},
		Key{Name: "create", Type: "bool", Default: "true", Doc: "Create the topic when it is missing. `false`: the pipeline does not start without it, and says what it would have been made with."},
		Key{Name: "register", Type: "bool", Default: "false", Doc: "Avro and protobuf: make a schema of the columns and register it; values name it. One that readers of the subject's newest could not read is refused before anything runs."},
		Key{Name: "subject", Type: "text", Default: "`<topic>-value`", Doc: "The schema registry's name for the schemas. Without `register`: values are written with its newest schema."},
		Key{Name: "message", Type: "text", Default: "the first of the schema", Doc: "The protobuf message that values are, of the subject's newest schema; with `register` what the message is called that is made."},
	)},
	{Group: "sink", Name: "sse", Doc: "A live view: `/live/<pipeline>/<sink>`.", Keys: sinkKeys(
		Key{Name: "history", Type: "duration", Default: "1h", Doc: "Windows older than this leave the view."},
		Key{Name: "max_rows", Type: "int", Default: "1000", Doc: "Of a stream without a key: the newest rows kept."},
		Key{Name: "max_keys", Type: "int", Default: "100000", Doc: "Keys per partition."},
		Key{Name: "refresh", Type: "duration", Default: "250ms", Doc: "A row changes at most this often."},
		Key{Name: "resume_window", Type: "duration", Default: "5m", Doc: "How long a client may be away and still resume."},
		Key{Name: "replay", Type: "duration", Default: "1h", Doc: "How far back time travel shows every change as it was: so long the view's topic is not compacted. Beyond it rows are shown with their last values."},
	)},
	{Group: "sink", Name: "stdout", Doc: "Writes rows to standard output, one JSON object a line.", Keys: sinkKeys(
		Key{Name: "only", Type: "final", Doc: "`final`: of updated windows write the final row only."},
	)},
	{Group: "sink", Name: "file", Doc: "Appends rows to a file, one JSON object a line; a delete is `{\"key\": …, \"deleted\": true}`. For local use: every worker writes a file of its own, once what made a row has committed, so each line is written at most once; a crash can lose those of the last commit. `leat test` and `leat pipe` write no file.", Keys: sinkKeys(
		Key{Name: "path", Type: "path", Required: true, Doc: "The file, relative to the folder that leat runs in. It is made where it is missing; its folder must be there.", Not: []string{"file", "filename"}},
		Key{Name: "only", Type: "final", Doc: "`final`: of updated windows write the final row only."},
	)},
	{Group: "sink", Name: "webhook", Doc: "Decides alerts, writes them to `<pipeline>.<sink>.outbox` in the transaction, and posts them from there: each a row with `alert.status` (firing, resolved), `alert.priority`, `alert.since` and `alert.at`, one per key while it fires, one when it is over. A notification is posted at least once, a repeat with the same `Idempotency-Key`. docs/how-to/alerts.md has the rest.", Keys: alertKeys(
		Key{Name: "url", Type: "text", Required: true, Doc: "Where alerts are posted: http or https. Addresses that are not public are refused unless `alerts.allow` of leat.yaml lists them.", Not: []string{"uri", "endpoint"}},
		Key{Name: "headers", Type: "mapping name: text", Doc: "HTTP headers: `{Authorization: \"Bearer ${TOKEN}\"}`."},
		Key{Name: "secret", Type: "text, or a list", Doc: "Signs what is posted, as the Standard Webhooks specification says: `${WEBHOOK_SECRET}`. Two while one takes the other's place."},
		Key{Name: "body", Type: "mapping column: expression", Default: "the row", Doc: "The JSON object that is posted, of the row's columns and `alert.status`, `alert.priority`, `alert.since`, `alert.at`: `{text: country + \" is \" + alert.status}`.", Not: []string{"template", "payload"}},
	)},
	{Group: "sink", Name: "web_push", Doc: "Decides alerts as a webhook sink does, and pushes them to the browsers that asked for them on the dashboard.", Keys: alertKeys(
		Key{Name: "title", Type: "expression", Default: "the sink's name and the status", Doc: "The notification's heading, a text of the row's columns and `alert.status`, `alert.priority`, `alert.since`, `alert.at`.", Not: []string{"heading"}},
		Key{Name: "text", Type: "expression", Default: "the row", Doc: "What it says.", Not: []string{"body", "message"}},
	)},
	{Group: "quiet", Doc: "Hours in which an alert sink tells nothing: `{from: 22:00, to: 07:00, time_zone: Europe/Berlin}`. The event time of the row decides, and the watermark ends them, so that a replay decides the same.", Keys: []Key{
		{Name: "from", Type: "time of day", Required: true, Doc: "`22:00`: when they begin, as clocks in the time zone show it.", Not: []string{"start", "start_time", "begin"}},
		{Name: "to", Type: "time of day", Required: true, Doc: "When they end: at or before `from` it is of the day after. `24:00` is midnight.", Not: []string{"end", "end_time", "until"}},
		{Name: "time_zone", Type: "IANA zone", Required: true, Doc: "Of both, and of the days.", Not: []string{"timezone", "zone", "tz", "location"}},
		{Name: "days", Type: "list of days", Default: "all", Doc: "On which they begin: `[mon-thu, sun]`.", Not: []string{"weekdays", "day"}},
		{Name: "also", Type: "list of quiet spans", Group: "quiet_span", Doc: "More of them: `[{from: 00:00, to: 24:00, days: [sat, sun]}]`. Those that touch are one."},
		{Name: "let_through", Type: "normal, high, urgent or an expression", Doc: "What is told all the same: alerts of this priority and above, or those of whose rows the expression is true. So is their end.", Not: []string{"except", "unless"}},
		{Name: "during", Type: "hold or drop", Default: "hold", Doc: "`hold`: at the end the newest of each dedupe_key is told. `drop`: what began and ended meanwhile is never told; what still fires is told with its next firing row; the end of what was told before is held.", Not: []string{"mode", "action"}},
	}},
	{Group: "quiet_span", Doc: "More quiet hours, in the same time zone.", Keys: []Key{
		{Name: "from", Type: "time of day", Required: true, Doc: "When they begin.", Not: []string{"start", "start_time", "begin"}},
		{Name: "to", Type: "time of day", Required: true, Doc: "When they end.", Not: []string{"end", "end_time", "until"}},
		{Name: "days", Type: "list of days", Default: "all", Doc: "On which they begin.", Not: []string{"weekdays", "day"}},
	}},
	{Group: "retry", Doc: "How often an alert is tried. What is given up goes where `errors` says of the stage `send`.", Keys: []Key{
		{Name: "attempts", Type: "int", Default: "15", Doc: "The most that are made: about a quarter of an hour of waiting."},
		{Name: "for", Type: "duration", Default: "24h", Doc: "An alert older than this that fails is not tried again."},
		{Name: "min", Type: "duration", Default: "1s", Doc: "The wait before the second attempt is a random part of this, the next of twice as much, and so on; or what the receiver asks for (`Retry-After`)."},
		{Name: "max", Type: "duration", Default: "5m", Doc: "The longest wait."},
	}},

	{Group: "key", Doc: "The long form of a sink's key.", Keys: []Key{
		{Name: "columns", Type: "list of columns", Required: true, Doc: "Which columns."},
		{Name: "format", Type: "json, avro, protobuf or text", Default: "text of one column, json of several", Doc: "How the key is encoded. With `register`, avro and protobuf keys name a schema of the subject `<topic>-key`; else they are bare."},
	}},
	{Group: "errors", Doc: "On a source, a transform, a sink or the pipeline, whose policies fill the gaps of the others.", Keys: []Key{
		{Name: "dead_letter", Type: "dead_letter", Group: "dead_letter", Doc: "Where records that went wrong are kept, with their original key, value and headers."},
		{Name: "policy", Type: "fail, skip or dead_letter", Default: "dead_letter when a topic is given, else fail", Doc: "For all stages."},
		{Name: "decode", Type: "policy", Doc: "Policy of records that do not decode."},
		{Name: "event_time", Type: "policy", Default: "dead_letter when a topic is given, else skip", Doc: "Policy of rows without a usable event time."},
		{Name: "expression", Type: "policy", Doc: "Policy of rows on which an expression fails."},
		{Name: "aggregate", Type: "policy", Doc: "Policy of rows that an aggregate refuses."},
		{Name: "produce", Type: "policy", Doc: "Policy of results that cannot be written."},
		{Name: "send", Type: "policy", Default: "dead_letter when a topic is given, else fail", Doc: "Policy of alerts that cannot be sent. `fail` holds the sender of their partition and tries for ever; the pipeline goes on."},
		{Name: "max_rate", Type: "percentage", Doc: "Stops the pipeline when more than this goes wrong, over one minute and at least 100 rows. On the pipeline only."},
	}},
	{Group: "dead_letter", Doc: "A dead-letter topic.", Keys: []Key{
		{Name: "topic", Type: "topic", Required: true, Doc: "The topic."},
		{Name: "include_value", Type: "bool", Default: "true", Doc: "`false` leaves the record's value out."},
	}},

	{Group: "dashboard", Doc: "The live page.", Keys: []Key{
		{Name: "title", Type: "text", Default: "the pipeline's name", Doc: "Heading."},
		{Name: "refresh", Type: "duration", Default: "250ms", Doc: "How often charts move."},
		{Name: "panels", Type: "list of panels", Group: "panel", Default: "one for each number of each view, and its rows", Doc: "What is shown, in order.", Not: []string{"charts", "widgets"}},
	}},
	{Group: "panel", Name: "timeseries", Doc: "A line per series over the windows' ends.", Keys: panelKeys(
		Key{Name: "value", Type: "column", Required: true, Doc: "What is drawn.", Not: []string{"y", "field", "column"}},
		Key{Name: "series", Type: "column", Default: "the view's key", Doc: "A line for each of its values.", Not: []string{"by", "group_by"}},
		Key{Name: "fn", Type: "sum, avg, min, max or last", Default: "by the value's name (`avg_…`, `max_…`), else sum", Doc: "How rows of one point are put together."},
		Key{Name: "top", Type: "int", Default: "12", Doc: "The most lines; the others are left out and counted."},
		Key{Name: "scale", Type: "linear or log", Default: "linear", Doc: "Of the value's axis."},
	)},
	{Group: "panel", Name: "stat", Doc: "One number with a sparkline.", Keys: panelKeys(
		Key{Name: "value", Type: "column", Required: true, Doc: "What is shown."},
		Key{Name: "fn", Type: "sum, avg, min, max or last", Default: "by the value's name (`avg_…`, `max_…`), else sum", Doc: "How rows of one point are put together."},
	)},
	{Group: "panel", Name: "topk", Doc: "Bars, greatest first.", Keys: panelKeys(
		Key{Name: "value", Type: "column", Required: true, Doc: "Length of the bars."},
		Key{Name: "series", Type: "column", Required: true, Doc: "What the bars are.", Not: []string{"by"}},
		Key{Name: "fn", Type: "sum, avg, min, max or last", Default: "by the value's name (`avg_…`, `max_…`), else sum", Doc: "How rows of one point are put together."},
		Key{Name: "k", Type: "int", Default: "10", Doc: "How many.", Not: []string{"limit", "n"}},
	)},
	{Group: "panel", Name: "table", Doc: "The rows themselves.", Keys: panelKeys(
		Key{Name: "columns", Type: "list of columns", Default: "all", Doc: "Which, in order."},
	)},
	{Group: "panel", Name: "lag", Doc: "How far the view is behind.", Keys: panelKeys()},
	{Group: "panel", Name: "heatmap", Doc: "How values are spread, over time: a column for each window, the colour how many. Of a number: a row for each series, the colour the number.", Keys: panelKeys(
		Key{Name: "value", Type: "column", Required: true, Doc: "A `histogram(x)`, or a number.", Not: []string{"y", "field", "column"}},
		Key{Name: "series", Type: "column", Default: "the view's key", Doc: "Of a number: a row for each of its values.", Not: []string{"by", "group_by"}},
		Key{Name: "fn", Type: "sum, avg, min, max or last", Default: "by the value's name (`avg_…`, `max_…`), else sum", Doc: "Of a number: how rows of one cell are put together."},
		Key{Name: "top", Type: "int", Default: "30", Doc: "Of a number: the most rows; the others are left out and counted."},
	)},
	{Group: "panel", Name: "quantiles", Doc: "Quantiles over time, with the band between them.", Keys: panelKeys(
		Key{Name: "value", Type: "column", Doc: "A `histogram(x)`, of which p50, p90 and p99 are drawn; histograms of several keys are put together first.", Not: []string{"y", "field", "column"}},
		Key{Name: "columns", Type: "list of columns", Doc: "In place of value: numbers that are quantiles already, the least first. Of several keys the greatest counts."},
		Key{Name: "scale", Type: "linear or log", Default: "linear", Doc: "Of the value's axis."},
	)},
	{Group: "panel", Name: "events", Doc: "The newest rows, as they come.", Keys: panelKeys(
		Key{Name: "columns", Type: "list of columns", Default: "all", Doc: "Which, in order."},
	)},

	{Group: "test file", Doc: "A file `<pipeline>_test.yaml` beside `<pipeline>.yaml`.", Keys: []Key{
		{Name: "pipeline", Type: "pipeline name", Default: "the only one of the file beside", Doc: "Which pipeline is tested."},
		{Name: "tests", Type: "list of tests", Required: true, Group: "test", Doc: "The tests."},
	}},
	{Group: "test", Doc: "Rows in, rows out, on virtual time.", Keys: []Key{
		{Name: "name", Type: "text", Required: true, Doc: "A sentence."},
		{Name: "given", Type: "list of steps", Required: true, Group: "step", Doc: "What happens, in order."},
		{Name: "expect", Type: "list of expectations", Group: "expectation", Doc: "What holds at the end."},
	}},
	{Group: "step", Name: "row", Doc: "A row arrives.", Keys: []Key{
		{Name: "source", Type: "source", Doc: "Which source; or `table`."},
		{Name: "table", Type: "table", Doc: "Which table; `value: null` deletes the key's row."},
		{Name: "at", Type: "time", Default: "the row before's, else 10:00:00", Doc: "The row's time; fills the event_time column when that is absent. A bare time is on 2026-01-01 UTC."},
		{Name: "key", Type: "text or mapping", Default: "from the source's key columns", Doc: "The record key; `null` is none."},
		{Name: "value", Type: "mapping or text", Doc: "The row; `null` is a null value."},
		{Name: "raw", Type: "text", Doc: "The record's bytes as they are, in place of value."},
		{Name: "partition", Type: "int", Default: "by the key", Doc: "Where it arrives."},
		{Name: "headers", Type: "mapping name: text", Doc: "The record's headers."},
	}},
	{Group: "step", Name: "advance_watermark", Doc: "Moves all watermarks.", Keys: []Key{{Name: "advance_watermark", Type: "time", Required: true, Doc: "To this time."}}},
	{Group: "step", Name: "advance_clock", Doc: "Lets time pass without rows.", Keys: []Key{{Name: "advance_clock", Type: "duration", Required: true, Doc: "By this much."}}},
	{Group: "step", Name: "restart", Doc: "Rebuilds every task from its log.", Keys: []Key{{Name: "restart", Type: "true", Required: true, Doc: "`true`."}}},
	{Group: "step", Name: "rebalance", Doc: "Moves all tasks to other workers: some find older local state there and read the log's tail, others read the whole log.", Keys: []Key{{Name: "rebalance", Type: "true", Required: true, Doc: "`true`."}}},
	{Group: "step", Name: "expect", Doc: "An expectation in between, over the results since the last one.", Keys: []Key{{Name: "expect", Type: "list of expectations", Required: true, Group: "expectation", Doc: "What holds here."}}},
	{Group: "expectation", Name: "sink", Doc: "About a sink's results.", Keys: []Key{
		{Name: "sink", Type: "sink", Required: true, Doc: "Which sink."},
		{Name: "values", Type: "list of rows", Doc: "Exactly these rows, in order per key; only the columns named are compared."},
		{Name: "contains", Type: "list of rows", Doc: "These rows are among the results."},
		{Name: "last", Type: "list of rows", Doc: "These rows are the newest of their keys."},
		{Name: "none", Type: "true", Doc: "No result at all."},
		{Name: "count", Type: "int", Doc: "So many results, whatever they are."},
		{Name: "key", Type: "text or mapping", Doc: "With `deleted`: which row is gone."},
		{Name: "deleted", Type: "true", Doc: "The newest result of `key` is a delete."},
		{Name: "headers", Type: "mapping name: text", Doc: "The rows named, or counted, have these headers, too."},
	}},
	{Group: "expectation", Name: "dead_letter", Doc: "About dead letters.", Keys: []Key{
		{Name: "dead_letter", Type: "int", Required: true, Doc: "How many."},
		{Name: "stage", Type: "stage", Doc: "Only those of this stage."},
		{Name: "reason", Type: "text", Doc: "Only those whose reason has this text in it."},
		{Name: "key", Type: "text", Doc: "Only those of this record key; `null` is none."},
		{Name: "value", Type: "text or mapping", Doc: "Only those of this value: its text, or the fields named of its JSON."},
	}},
}

func transformKeys(own ...Key) []Key {
	return append([]Key{
		{Name: "name", Type: "name", Required: true, Doc: "Identity of its state; an input name for others."},
		{Name: "type", Type: "kind", Required: true, Doc: "Kind of transform."},
		{Name: "input", Type: "name", Default: "the previous transform, or the only source", Doc: "What it reads.", Not: []string{"from", "inputs", "source"}},
		{Name: "errors", Type: "errors", Group: "errors", Doc: "Error policies of this transform."},
		{Name: "was", Type: "name", Doc: "The former name, after a rename: state and internal topics keep it. It stays for as long as they do."},
	}, own...)
}

// lessKey leaves a key out.
func lessKey(name string, keys []Key) []Key {
	return slices.DeleteFunc(keys, func(k Key) bool { return k.Name == name })
}

func windowKeys(own ...Key) []Key {
	return append(append([]Key{{Name: "type", Type: "kind", Required: true, Doc: "Kind of window."}}, own...),
		Key{Name: "grace", Type: "duration", Default: "0s", Doc: "How long after its end a window still takes rows. Out-of-orderness is the watermark's business.", Not: []string{"allowed_lateness", "lateness"}})
}

func sinkKeys(own ...Key) []Key {
	return append([]Key{
		{Name: "name", Type: "name", Required: true, Doc: "Its name."},
		{Name: "type", Type: "kind", Required: true, Doc: "Kind of sink."},
		{Name: "input", Type: "name", Default: "the last transform", Doc: "What it writes.", Not: []string{"from", "inputs", "source"}},
		{Name: "errors", Type: "errors", Group: "errors", Doc: "Error policies of this sink."},
	}, own...)
}

func panelKeys(own ...Key) []Key {
	return append([]Key{
		{Name: "type", Type: "kind", Required: true, Doc: "Kind of panel."},
		{Name: "title", Type: "text", Doc: "Heading."},
		{Name: "view", Type: "sse sink", Default: "the only sse sink", Doc: "Where its rows come from.", Not: []string{"sink", "source", "input"}},
		{Name: "unit", Type: "text", Doc: "Unit of the value: EUR, ms, …"},
	}, own...)
}

func alertKeys(own ...Key) []Key {
	return sinkKeys(append(own,
		Key{Name: "when", Type: "expression", Default: "each row", Doc: "Which rows fire.", Not: []string{"where", "if"}},
		Key{Name: "resolve_when", Type: "expression", Default: "not `when`", Doc: "Which rows resolve. A deleted row does, too."},
		Key{Name: "resolve_after", Type: "duration", Doc: "Without a firing row for this long, in event time, an alert is over."},
		Key{Name: "dedupe_key", Type: "list of columns", Default: "the group_by columns, else one alert for all rows", Doc: "One alert for each. Where its rows are in several partitions they go through a repartition topic.", Not: []string{"key"}},
		Key{Name: "repeat_interval", Type: "duration", Doc: "An alert that still fires is told again after this, in event time."},
		Key{Name: "group_by", Type: "list of columns", Doc: "Notifications that agree on these go out as one: these columns, `alert.count`, and the notifications themselves as the list `alerts`, higher priorities first. `[]`: all. At most 100 in one. Groups are the fleet's, not a worker's."},
		Key{Name: "group_wait", Type: "duration", Default: "30s with group_by", Doc: "How long a group waits for more, by the clock, from its first. By itself: all are one group."},
		Key{Name: "priority", Type: "low, normal, high, urgent or an expression", Default: "normal", Doc: "Or an expression that gives one of them: `failed > 100 ? \"urgent\" : \"high\"`. Higher ones stand first in a group and are sent first of what waits; one that rises is told again. It is `alert.priority` of what is posted and the record's header `leat.alert.priority`; of a web_push it is the urgency, and how long it is kept for a browser that is away.", Not: []string{"severity", "urgency"}},
		Key{Name: "quiet", Type: "quiet", Group: "quiet", Doc: "Hours in which nothing is told.", Not: []string{"quiet_hours", "mute", "mute_time_intervals", "silence", "support_hours"}},
		Key{Name: "retry", Type: "retry", Group: "retry", Doc: "How often an alert is tried."},
	)...)
}

// findKind gives the kind of a group by its type: word, or nil.
func findKind(group, name string) *Kind {
	for _, k := range kinds {
		if k.Group == group && k.Name == name {
			return k
		}
	}
	return nil
}

// mustKind is findKind for kinds that the code itself names.
func mustKind(group, name string) *Kind {
	k := findKind(group, name)
	if k == nil {
		panic("pipelines: no kind " + group + "/" + name)
	}
	return k
}

// kindNames lists the type: words of a group.
func kindNames(group string) []string {
	var out []string
	for _, k := range kinds {
		if k.Group == group {
			out = append(out, k.Name)
		}
	}
	return out
}

// homes gives the keys of kind under which a key called name would be at home:
// "advance" of an aggregate belongs under "window".
func (k *Kind) homes(name string) []string {
	var out []string
	for _, key := range k.Keys {
		if key.Group == "" || key.Group == k.Group {
			continue
		}
		for _, child := range kinds {
			if child.Group == key.Group && child.key(name) != nil {
				out = append(out, key.Name)
				break
			}
		}
	}
	return out
}

// Reference is docs/reference.md: every construct with its keys, as text.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Reference of the pipeline language\n\nMade from the table in `pipelines/kinds.go`; do not edit by hand.\n")
	group := ""
	for _, k := range kinds {
		if k.Group != group {
			group = k.Group
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		if k.Name != "" {
			fmt.Fprintf(&b, "\n### %s `%s`\n", k.Group, k.Name)
		}
		fmt.Fprintf(&b, "\n%s\n", k.Doc)
		if len(k.Keys) == 0 {
			continue
		}
		b.WriteString("\n")
		writeKeys(&b, k.Keys)
	}
	writeRooms(&b)
	return b.String()
}

// writeKeys writes keys as a table of Markdown.
func writeKeys(b *strings.Builder, keys []Key) {
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	for _, key := range keys {
		def := key.Default
		if key.Required {
			def = "**required**"
			if key.Unless != "" {
				def += ", or `" + key.Unless + "`"
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key.Name, cell(key.Type), cell(def), cell(key.Doc))
	}
}
