package kafka

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/engine"
)

// SinkSpec describes a kafka sink: rows of a schema as records.
type SinkSpec struct {
	Topic  engine.Topic
	Schema *engine.Schema
	// Key are the columns of the wire key: the text of one, a JSON object of
	// several. Nil: the input record's key and partition are kept.
	Key []int
	// GroupKey are the columns whose wire key chooses the partition (murmur2);
	// nil: those of Key. Windows of one group stay in one partition.
	GroupKey []int
	Drop     []int // columns left out of the value
	// OnlyFinal leaves updates out: only: final.
	OnlyFinal bool
	Style     engine.ValueStyle
	// TimestampNow gives records the append time; event time is then in the
	// header leat.event_time.
	TimestampNow bool
	Headers      map[string]string
	Table        bool // deletes become tombstones
	// NewEncoder makes the encoder of values; nil: JSON, without Drop. A row
	// that it refuses is a produce error.
	NewEncoder func() codec.RowEncoder
	// NewKeyEncoder makes the encoder of the Key columns; nil: the text of one,
	// a JSON object of several.
	NewKeyEncoder func() codec.RowEncoder
}

// Sink writes rows to a topic, in the lane's transaction.
func Sink(spec SinkSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		s := &sink{spec: spec, ctx: ctx, n: ctx.Partitions(spec.Topic)}
		if s.n <= 0 {
			return nil, fmt.Errorf("topic %s has no partitions", spec.Topic)
		}
		if s.spec.GroupKey == nil {
			s.spec.GroupKey = spec.Key
		}
		s.samePartitionKey = slices.Equal(s.spec.GroupKey, spec.Key)
		s.objectKey = codec.NewEncoder(spec.Schema, codec.EncoderOptions{Columns: spec.Key, Flat: true})
		newEncoder := spec.NewEncoder
		if newEncoder == nil {
			var err error
			if newEncoder, err = codec.NewRowEncoder("json", spec.Schema, codec.EncoderOptions{Style: spec.Style, Drop: spec.Drop}); err != nil {
				return nil, fmt.Errorf("write topic %s: %w", spec.Topic, err)
			}
		}
		s.encoder = newEncoder()
		if spec.NewKeyEncoder != nil && spec.Key != nil {
			s.keyEncoder = spec.NewKeyEncoder()
		}
		if e := codec.JSONEncoder(s.encoder); e != nil && s.keyEncoder == nil && len(spec.Key) > 1 && e.Extends(s.objectKey) {
			s.extended = e
		}
		for _, k := range sortedKeys(spec.Headers) {
			s.headers = append(s.headers, engine.Header{Key: k, Value: []byte(spec.Headers[k])})
		}
		return s, nil
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

type sink struct {
	spec             SinkSpec
	ctx              *engine.Context
	n                int
	encoder          codec.RowEncoder
	keyEncoder       codec.RowEncoder // nil: AppendKey's form
	objectKey        *codec.Encoder   // the same as AppendKey, of several columns
	extended         *codec.Encoder   // the encoder, where values begin as the keys that objectKey makes; or nil
	samePartitionKey bool
	last             lastKey
	row              engine.Batch // of the row at hand: only schema and columns
	headers          []engine.Header
	scratch          []byte
	keyBuf           []byte
}

// lastKey is the last group key of one column of text, with its partition: the
// windows of a key often come together.
type lastKey struct {
	text      []byte
	known     bool
	partition engine.Partition
}

// of gives the partition of a key among n.
func (l *lastKey) of(key []byte, n int) engine.Partition {
	if l.known && string(l.text) == string(key) {
		return l.partition
	}
	l.text, l.known, l.partition = append(l.text[:0], key...), true, engine.PartitionOf(key, n)
	return l.partition
}

// closedByIdle marks results that the clock, not a row, released.
var closedByIdle = engine.Header{Key: "leat.closed_by", Value: []byte("idle")}

// Forgets tells that a record is the same with whatever old row.
func (s *sink) Forgets() bool { return true }

// Process writes one record per row.
func (s *sink) Process(b *engine.Batch, _ engine.Emit) error {
	headers := s.headers
	if b.ClosedByIdle {
		headers = append(slices.Clone(headers), closedByIdle)
	}
	for _, i := range b.Sel {
		if s.spec.OnlyFinal && b.Final != nil && !b.Final[i] {
			continue
		}
		deleted := b.Op != nil && b.Op[i] == engine.Delete
		cols := b.Cols
		if deleted {
			cols = b.Old
		}
		r := engine.Record{Topic: s.spec.Topic, Headers: headers}
		s.time(&r, b, i)
		buf, keyed, err := s.key(&r, b, cols, i)
		k := len(buf)
		switch {
		case err != nil || deleted:
		case s.extended != nil:
			buf = s.extended.AppendRest(buf, s.objectKey, buf, cols, i)
		default:
			buf, err = s.encoder.AppendRow(buf, cols, i)
		}
		s.scratch = buf
		if err != nil {
			if err := s.ctx.Bad(engine.StageProduce, b, i, err); err != nil {
				return err
			}
			continue
		}
		rec := s.ctx.Arena(len(buf))
		copy(rec, buf)
		if keyed {
			r.Key = rec[:k:k]
		}
		if !deleted {
			r.Value = rec[k:]
		} else if !keyed {
			continue // nothing to name what was deleted
		}
		s.ctx.Produce(r)
	}
	return nil
}

// key appends the wire key of row i to the scratch and sets the partition.
func (s *sink) key(r *engine.Record, b *engine.Batch, cols []engine.Column, i int32) (buf []byte, keyed bool, err error) {
	buf = s.scratch[:0]
	if s.spec.Key == nil {
		if b.Src == nil {
			r.Partition = engine.Partition(s.ctx.Task % s.n)
			return buf, false, nil
		}
		// The record's own key; a null key stays in the input's partition.
		if key := b.Src.Keys[i]; key != nil {
			r.Partition = engine.PartitionOf(key, s.n)
			return append(buf, key...), true, nil
		}
		r.Partition = b.Src.Partition % engine.Partition(s.n)
		return buf, false, nil
	}
	row := &s.row
	row.Schema, row.Cols = b.Schema, cols
	switch {
	case len(s.spec.Key) > 1 && s.keyEncoder == nil:
		buf, keyed = s.objectKey.AppendRow(buf, cols, i), true
	case len(s.spec.Key) > 1:
		keyed = true
	default:
		buf, keyed = engine.AppendKey(buf, row, s.spec.Key, i)
	}
	if s.keyEncoder != nil && keyed {
		if buf, err = s.keyEncoder.AppendRow(buf[:0], cols, i); err != nil {
			return s.scratch[:0], false, fmt.Errorf("the key: %w", err)
		}
	}
	if s.samePartitionKey {
		if keyed {
			r.Partition = engine.PartitionOf(buf, s.n)
		} else {
			r.Partition = engine.Partition(s.ctx.Task % s.n)
		}
		return buf, keyed, nil
	}
	var ok bool
	if s.keyBuf, ok = engine.AppendKey(s.keyBuf[:0], row, s.spec.GroupKey, i); ok {
		r.Partition = s.last.of(s.keyBuf, s.n)
	} else {
		r.Partition = engine.Partition(s.ctx.Task % s.n)
	}
	return buf, keyed, nil
}

// time sets the record's timestamp: the greatest event time that contributed.
func (s *sink) time(r *engine.Record, b *engine.Batch, i int32) {
	at := b.Time[i]
	if b.Stamp != nil {
		at = b.Stamp[i]
	}
	if s.spec.TimestampNow {
		r.Headers = append(slices.Clone(r.Headers), engine.Header{Key: "leat.event_time", Value: strconv.AppendInt(nil, at, 10)})
		return
	}
	r.Time = at
}
