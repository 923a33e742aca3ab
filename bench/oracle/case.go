package oracle

// Case is one operator with its settings, and rows for it. Durations are
// milliseconds.
type Case struct {
	ID      int    `json:"id"`
	Op      string `json:"op"`   // tumbling, hopping, sliding, session, unwindowed, table_aggregate, stream_stream, stream_table, table_table, foreign_key
	Emit    string `json:"emit"` // update; close or, for Kafka Streams only, suppress: finals
	Kind    string `json:"kind"` // of a join: inner, left, outer
	Size    int64  `json:"size"`
	Advance int64  `json:"advance"`
	Gap     int64  `json:"gap"`
	Grace   int64  `json:"grace"`
	Before  int64  `json:"before"`
	After   int64  `json:"after"`
	History int64  `json:"history"` // of a stream-table join; 0: none
	Rows    []Row  `json:"rows"`

	// Shared: both sides of a stream-stream join are read from one topic, so that
	// leat's watermark is Kafka Streams' one stream time of a join.
	Shared bool `json:"-"`
	// Chunks are how many rows leat gets at a time; it is rebuilt from its logs
	// after a chunk of a negative number.
	Chunks []int `json:"-"`
}

// Row is one record for both sides. Its number in the case is its value's id.
type Row struct {
	In    string  `json:"in"` // topic: rows; left, right
	Key   *string `json:"k"`
	Value *string `json:"v"` // what Kafka Streams gets: "3", of tables "3:b"; nil: a null value
	Time  int64   `json:"t"` // epoch ms

	ID    int    `json:"-"` // number of the row
	X     *int64 `json:"-"` // a column to aggregate
	Other string `json:"-"` // the foreign key or the group; "": null
}
