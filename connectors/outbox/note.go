package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat/engine"
)

// Note is one record of an outbox.
type Note struct {
	Topic     engine.Topic
	Partition engine.Partition
	Offset    engine.Offset
	Key       []byte // the alert's dedupe key, as the wire has it; nil: one alert for all
	Value     []byte
	Headers   []engine.Header
	Time      int64 // when it was written, epoch ms
	// ID names the record for the receiver, the same in every attempt and
	// across restarts: topic/partition/offset, at first.
	ID string
	// Attempt counts from 1. It starts anew after a restart.
	Attempt int
	// Progress is Deliver's own between attempts at one note: to whom of many
	// it has been delivered. Lost in a crash.
	Progress any

	level int       // of Priorities
	from  time.Time // of the next attempt
}

// Header is the value of a header, "" where there is none.
func (n *Note) Header(key string) string {
	for _, h := range n.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// PriorityHeader has a note's priority, one of Priorities.
const PriorityHeader = "leat.alert.priority"

// Priorities are the names of priorities, the least first.
var Priorities = []string{"low", "normal", "high", "urgent"}

// Priority is what the note's header says; normal where it says nothing known.
func (n *Note) Priority() string {
	if p := n.Header(PriorityHeader); slices.Contains(Priorities, p) {
		return p
	}
	return "normal"
}

// IDHeader keeps a note's ID in the dead letters and on the way back.
const IDHeader = "leat.alert.id"

// Deliver sends a note once. It is called from several goroutines, with notes
// of different partitions; n is the caller's and does not change meanwhile but
// for Progress. The error of an attempt that is worth repeating is any error;
// Failure says more. It returns soon after ctx ends.
type Deliver func(ctx context.Context, n *Note) error

// Failure is what is known about a failed attempt.
type Failure struct {
	Err error
	// Permanent: the same attempt will fail for ever.
	Permanent bool
	// After is how long the receiver asks to wait; 0: it did not say.
	After time.Duration
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Permanent marks an error that no repetition will mend.
func Permanent(err error) error { return &Failure{Err: err, Permanent: true} }

func failureOf(err error) Failure {
	var f *Failure
	if errors.As(err, &f) {
		return *f
	}
	return Failure{Err: err}
}

// notes are the notes of rows of a topic: bytes of their own, as rows go back
// to the client with the commit.
func notes(rows *engine.Rows) []*Note {
	out := make([]*Note, rows.Len())
	for i := range out {
		n := &Note{Topic: rows.Topic, Partition: rows.Partition, Offset: engine.Offset(rows.Offsets[i]), Time: rows.Times[i],
			Key: clone(rows.Keys[i]), Value: clone(rows.Values[i])}
		if rows.Headers != nil {
			for _, h := range rows.Headers(i) {
				n.Headers = append(n.Headers, engine.Header{Key: h.Key, Value: clone(h.Value)})
			}
		}
		if n.ID = n.Header(IDHeader); n.ID == "" {
			n.ID = fmt.Sprintf("%s/%d/%d", n.Topic, n.Partition, n.Offset)
		}
		n.level = slices.Index(Priorities, n.Priority())
		out[i] = n
	}
	return out
}

// clone copies bytes; null stays null.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
