package engine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// bad applies a stage's policy to one row that went wrong: nil when the row is
// left out (skipped, or sent to the dead letters), an error of kind BadRecord
// when the policy is fail.
func (t *Task) bad(name string, policy ErrorPolicy, stage Stage, b *Batch, row int32, cause error) error {
	t.changed = true
	if stage == StageLate {
		t.Stats.count("late", 1)
	} else {
		t.rate.bad++
		t.Stats.count("errors_"+string(stage), 1)
	}
	switch policy.Of(stage) {
	case Skip:
		return nil
	case DeadLetter:
		t.deadLetter(name, policy, stage, b, row, cause)
		return nil
	}
	e := &Error{Kind: BadRecord, Op: fmt.Sprintf("%s %q: %s error", t.topo.Pipeline, name, stage), Offset: -1, Err: cause}
	if b.Src != nil {
		e.Topic, e.Partition, e.Offset = b.Src.Topic, b.Src.Partition, Offset(b.Src.Offsets[row])
	}
	return e
}

// deadLetterSlack is what headers and framing may add to a record.
const deadLetterSlack = 4096

// deadLetter writes the record as it came, with headers that say why and
// where, in the same transaction as everything else. It carries the append
// time: a broken timestamp must not be refused by the broker for ever.
func (t *Task) deadLetter(name string, policy ErrorPolicy, stage Stage, b *Batch, row int32, cause error) {
	r := Record{Topic: policy.Topic}
	h := []Header{
		{"leat.error.stage", []byte(stage)},
		{"leat.error.reason", []byte(cut(cause.Error(), 1024))},
		{"leat.error.pipeline", []byte(t.topo.Pipeline)},
		{"leat.error.transform", []byte(name)},
	}
	var own []Header // the record's
	partition := t.ID.Partition
	if s := b.Src; s != nil {
		r.Key, r.Value = s.Keys[row], s.Values[row]
		partition = s.Partition
		h = append(h,
			Header{"leat.error.topic", []byte(s.Topic)},
			Header{"leat.error.partition", strconv.AppendInt(nil, int64(s.Partition), 10)},
			Header{"leat.error.offset", strconv.AppendInt(nil, s.Offsets[row], 10)},
			Header{"leat.error.timestamp", strconv.AppendInt(nil, s.Times[row], 10)})
		if s.Headers != nil {
			own = s.Headers(int(row))
		}
	} else {
		// Behind the first keyed transform the record is gone: the row itself is
		// what can be kept.
		r.Value = rowJSON(b, row)
	}
	if !policy.IncludeValue {
		r.Value = nil
	}
	if limit := t.limit(policy.Topic); limit > 0 && r.fit(&own, limit-deadLetterSlack) {
		h = append(h, Header{"leat.error.truncated", []byte("true")})
	}
	// A slice of our own: the source's is valid until it is asked again.
	r.Headers = slices.Concat(own, h)
	if n := t.env.Partitions(policy.Topic); n > 0 {
		r.Partition = partition % Partition(n)
	}
	t.Stats.count("dead_letters", 1)
	t.out = append(t.out, r)
	t.outSize += len(r.Key) + len(r.Value)
}

// fit cuts a record to room bytes, and tells whether it had to: headers and
// key go as a whole, of the value there is what has room.
func (r *Record) fit(headers *[]Header, room int) (cut bool) {
	size := 0
	for _, h := range *headers {
		size += len(h.Key) + len(h.Value)
	}
	room = max(0, room)
	if size > room {
		*headers, size, cut = nil, 0, true
	}
	room -= size
	if len(r.Key) > room {
		r.Key, cut = nil, true
	}
	room -= len(r.Key)
	if len(r.Value) > room {
		r.Value, cut = r.Value[:room], true
	}
	return cut
}

func rowJSON(b *Batch, row int32) []byte {
	cols := b.Cols
	if b.Op != nil && b.Op[row] == Delete {
		cols = b.Old
	}
	out := []byte{'{'}
	for i, f := range b.Schema.Fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = AppendString(out, f.Name)
		out = append(out, ':')
		out = AppendJSON(out, &cols[i], row, ValueStyle{})
	}
	return append(out, '}')
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// errorRate is errors.max_rate: the share of bad rows over one minute of the
// driver's clock, judged from 100 rows on.
type errorRate struct {
	minute    int64
	rows, bad int64
}

// begin counts the rows of a batch before they can go wrong.
func (r *errorRate) begin(rows, now int64) {
	if m := now / 60_000; m != r.minute {
		r.minute, r.rows, r.bad = m, 0, 0
	}
	r.rows += rows
}

func (r *errorRate) check(limit float64) error {
	const minRows = 100
	if limit > 0 && r.rows >= minRows && float64(r.bad) > limit*float64(r.rows) {
		return E(Fatal, "errors.max_rate", errors.New(strconv.FormatInt(r.bad, 10)+" of "+strconv.FormatInt(r.rows, 10)+" rows went wrong within a minute"))
	}
	return nil
}
