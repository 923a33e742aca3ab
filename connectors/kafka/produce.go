package kafka

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// output is what one transaction produces. The client calls done for each
// record, one after the other on one goroutine at a time; the lane looks only
// after a flush that has succeeded. An output whose flush failed is never used
// again, so that a late answer finds nobody.
type output struct {
	slabs   [][]kgo.Record
	used    int // records in use
	headers []kgo.RecordHeader
	done    func(*kgo.Record, error)

	offsets map[engine.TopicPartition]engine.Offset // after the last record written
	last    engine.TopicPartition                   // the entry being moved on
	at      engine.Offset
	failed  atomic.Pointer[produceError] // the first
}

// produceError is a record that the broker refused.
type produceError struct {
	topic     string
	partition int32
	err       error
}

// slabRecords is how many records of the client are made at once.
const slabRecords = 1024

// next gives a record to fill.
func (o *output) next() *kgo.Record {
	slab, i := o.used/slabRecords, o.used%slabRecords
	if slab == len(o.slabs) {
		o.slabs = append(o.slabs, make([]kgo.Record, slabRecords))
	}
	o.used++
	return &o.slabs[slab][i]
}

// finished is called by the client for each record.
func (o *output) finished(r *kgo.Record, err error) {
	if err != nil {
		o.failed.CompareAndSwap(nil, &produceError{topic: r.Topic, partition: r.Partition, err: err})
		return
	}
	if string(o.last.Topic) != r.Topic || int32(o.last.Partition) != r.Partition {
		o.note()
		o.last = engine.TopicPartition{Topic: engine.Topic(r.Topic), Partition: engine.Partition(r.Partition)}
		o.at = o.offsets[o.last]
	}
	o.at = max(o.at, engine.Offset(r.Offset)+1)
}

// note writes down how far the present partition has come.
func (o *output) note() {
	if o.last.Topic != "" {
		o.offsets[o.last] = o.at
	}
}

// outputs keeps one output for the next transaction.
type outputs struct{ idle *output }

func (os *outputs) take() *output {
	o := os.idle
	os.idle = nil
	if o == nil {
		o = &output{offsets: make(map[engine.TopicPartition]engine.Offset)}
		o.done = o.finished
	}
	return o
}

// giveBack takes an output whose records have all been answered.
func (os *outputs) giveBack(o *output) {
	for i := 0; i < o.used; i++ {
		o.slabs[i/slabRecords][i%slabRecords] = kgo.Record{}
	}
	// A burst's slabs go; what a usual interval needs stays.
	if keep := o.used/slabRecords + 2; len(o.slabs) > 2*keep {
		clear(o.slabs[keep:])
		o.slabs = o.slabs[:keep]
	}
	clear(o.headers)
	o.headers = o.headers[:0]
	clear(o.offsets)
	o.used, o.last, o.at = 0, engine.TopicPartition{}, 0
	o.failed.Store(nil)
	os.idle = o
}

// Produce hands records over; errors surface in End. It blocks while
// MaxBufferedRecords wait for the broker. Without Begin it is a bug.
func (s *Session) Produce(recs []engine.Record) {
	o := s.out
	if o == nil {
		panic("kafka: Produce outside Begin and End")
	}
	for i := range recs {
		k := o.next()
		o.headers = fill(k, &recs[i], o.headers)
		s.cl.Produce(context.Background(), k, o.done)
	}
}

// flush waits until every record has been answered, and gives the first error.
func (s *Session) flush(ctx context.Context) (answered bool, err error) {
	if s.out.used == 0 {
		return true, nil
	}
	if err := s.cl.Flush(ctx); err != nil {
		return false, s.cfg.fail("flush what was produced", err)
	}
	s.out.note()
	if f := s.out.failed.Load(); f != nil {
		kind, why := s.cfg.classify(f.err)
		return true, &engine.Error{Kind: kind, Op: "produce", Topic: engine.Topic(f.topic),
			Partition: engine.Partition(f.partition), Offset: -1, Err: fmt.Errorf("refused: %w", why)}
	}
	return true, nil
}

// Produced gives, per topic partition written by the last End that was Done,
// the offset after its last record. The map is used again by the next End.
func (s *Session) Produced() map[engine.TopicPartition]engine.Offset { return s.done }
