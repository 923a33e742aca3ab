package kafka

import (
	"slices"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// rowsBuf is engine.Rows with what is needed to fill and to reuse it.
type rowsBuf struct {
	engine.Rows
	headers [][]kgo.RecordHeader // per row; nil where no row has any
	scratch []engine.Header
	of      func(i int) []engine.Header // bound once, as Rows.Headers
}

// start empties the buffer for n rows of a partition.
func (b *rowsBuf) start(topic engine.Topic, p engine.Partition, n int) {
	b.Topic, b.Partition = topic, p
	b.Keys = slices.Grow(b.Keys[:0], n)
	b.Values = slices.Grow(b.Values[:0], n)
	b.Offsets = slices.Grow(b.Offsets[:0], n)
	b.Times = slices.Grow(b.Times[:0], n)
	clear(b.headers)
	b.headers = b.headers[:0]
	b.Headers, b.Next, b.End = nil, 0, 0
}

// add appends a record. Its bytes stay where the fetch put them.
func (b *rowsBuf) add(r *kgo.Record) {
	b.Keys = append(b.Keys, r.Key)
	b.Values = append(b.Values, r.Value)
	b.Offsets = append(b.Offsets, r.Offset)
	b.Times = append(b.Times, r.Timestamp.UnixMilli())
	if len(r.Headers) == 0 && len(b.headers) == 0 {
		return
	}
	for len(b.headers) < len(b.Offsets)-1 {
		b.headers = append(b.headers, nil)
	}
	b.headers = append(b.headers, r.Headers)
	if b.of == nil {
		b.of = b.headersOf
	}
	b.Headers = b.of
}

// headersOf gives the headers of row i, valid until the next call.
func (b *rowsBuf) headersOf(i int) []engine.Header {
	if i >= len(b.headers) {
		return nil
	}
	b.scratch = b.scratch[:0]
	for _, h := range b.headers[i] {
		b.scratch = append(b.scratch, engine.Header(h))
	}
	return b.scratch
}

// drop lets go of the fetch's bytes.
func (b *rowsBuf) drop() {
	clear(b.Keys)
	clear(b.Values)
}

// fill turns our record into the client's. headers is scratch for the
// converted headers; what is left of it is returned.
func fill(k *kgo.Record, r *engine.Record, headers []kgo.RecordHeader) []kgo.RecordHeader {
	*k = kgo.Record{Topic: string(r.Topic), Partition: int32(r.Partition), Key: r.Key, Value: r.Value}
	if r.Time != 0 {
		k.Timestamp = time.UnixMilli(r.Time)
	}
	if n := len(r.Headers); n > 0 {
		if cap(headers)-len(headers) < n {
			headers = make([]kgo.RecordHeader, 0, max(n, 256))
		}
		from := len(headers)
		for _, h := range r.Headers {
			headers = append(headers, kgo.RecordHeader(h))
		}
		k.Headers = headers[from:len(headers):len(headers)]
	}
	return headers
}
