package kafka

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordPool keeps the client's records between fetches. Their bytes are not
// in it: rows point into the fetch's own memory, which the collector frees.
type recordPool struct{ p sync.Pool }

// GetRecords gives a slice with room for n records.
func (p *recordPool) GetRecords(n int) []kgo.Record {
	if s, ok := p.p.Get().(*[]kgo.Record); ok && cap(*s) >= n {
		return *s
	}
	return make([]kgo.Record, 0, max(n, 64))
}

// PutRecords takes a slice back, emptied.
func (p *recordPool) PutRecords(s []kgo.Record) {
	s = s[:0]
	p.p.Put(&s)
}

var _ kgo.PoolRecords = (*recordPool)(nil)
