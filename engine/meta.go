package engine

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// OffsetMeta is the metadata of every offset we commit (under 4 KB). It tells
// one commit from another where the offsets do not (nothing was read), names
// the writer so that a dead one can be fenced, and carries the partition's
// time to whoever takes it over.
type OffsetMeta struct {
	Version   int    `json:"v"`
	Lane      string `json:"l"`           // <worker id>/<lane>
	Commit    int64  `json:"n"`           // grows by one with each commit of a lane
	Txn       string `json:"t,omitempty"` // transactional id of the writer
	Watermark int64  `json:"w"`
	Idle      bool   `json:"i,omitempty"`
	Vector    string `json:"x,omitempty"` // base64 of the stamps' vector, repartition inputs
	// First is where a table ended when the group was new to it: it is read to
	// there before any stream. 0: it has been.
	First Offset `json:"f,omitempty"`
	// Others are the watermarks of further sources that read the partition.
	Others map[string]int64 `json:"o,omitempty"`
	// Closed: time past everything has gone through every operator of the task,
	// and what came of it is in this commit (--close-windows).
	Closed bool `json:"c,omitempty"`
	// Greatest is the greatest event time by source, where there was a row.
	Greatest map[string]int64 `json:"g,omitempty"`
}

// maxVectorBytes bounds the vector in offset metadata: the broker's
// offset.metadata.max.bytes is 4096 by default.
const maxVectorBytes = 2500

// Encode gives the metadata's text.
func (m OffsetMeta) Encode() string {
	m.Version = 1
	b, _ := json.Marshal(m)
	return string(b)
}

// DecodeOffsetMeta reads it back; foreign or empty text (offsets set by a
// tool) gives a zero meta with no watermark.
func DecodeOffsetMeta(s string) (OffsetMeta, bool) {
	var m OffsetMeta
	if s == "" || json.Unmarshal([]byte(s), &m) != nil || m.Version != 1 {
		return OffsetMeta{Watermark: MinTime}, false
	}
	return m, true
}

// CommitNumber is the number by which a session decides an unknown outcome.
func CommitNumber(metadata string) int64 {
	m, ok := DecodeOffsetMeta(metadata)
	if !ok {
		return -1
	}
	return m.Commit
}

// offsetWriter is the transactional id that wrote an offset; "" unknown.
func offsetWriter(metadata string) string {
	m, _ := DecodeOffsetMeta(metadata)
	return m.Txn
}

// taskMeta is what a stateful task remembers beside its tables: one record
// per commit in the changelog of its first store, and in Pebble beside the
// positions. Its inputs' offsets say which rows the state has seen.
type taskMeta struct {
	Version int               `json:"v"`
	Commit  int64             `json:"n"`
	Inputs  []inputMeta       `json:"in"`
	Nodes   map[string][]byte `json:"ops,omitempty"` // Rememberer bytes by node name
	Expired map[string]int64  `json:"exp,omitempty"`
}

type inputMeta struct {
	Source    string    `json:"s,omitempty"`
	Topic     Topic     `json:"topic"`
	Partition Partition `json:"p"`
	Offset    Offset    `json:"o"`
	Watermark int64     `json:"w"`
	Greatest  int64     `json:"g,omitempty"` // event time; 0: no row yet
	Idle      bool      `json:"i,omitempty"`
	Vector    []byte    `json:"x,omitempty"`
	First     Offset    `json:"f,omitempty"`
}

func (m *taskMeta) encode() []byte {
	m.Version = 1
	b, _ := json.Marshal(m)
	return b
}

func decodeTaskMeta(b []byte) (*taskMeta, error) {
	m := new(taskMeta)
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("decode task meta: %w", err)
	}
	if m.Version != 1 {
		return nil, fmt.Errorf("decode task meta: version %d is not known", m.Version)
	}
	return m, nil
}

func encodeVector(b []byte) string {
	if len(b) > maxVectorBytes {
		return ""
	}
	return base64.RawStdEncoding.EncodeToString(b)
}

func decodeVector(s string) []byte {
	b, _ := base64.RawStdEncoding.DecodeString(s)
	return b
}
