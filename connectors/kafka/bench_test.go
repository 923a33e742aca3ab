package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkSession is a lane that reads rows of 100 bytes and, per row, writes a
// tenth of a record, committing every 100 ms: what the session costs a row,
// against a broker that makes up what is fetched and drops what is produced.
// The broker works in the same process.
func BenchmarkSession(b *testing.B) {
	for _, compression := range []string{"none", "snappy"} {
		b.Run(compression, func(b *testing.B) {
			codec := kgo.NoCompression()
			if compression == "snappy" {
				codec = kgo.SnappyCompression()
			}
			broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "in", "out"), kfake.BlackholeProduce(),
				kfake.SyntheticFetch(kfake.SyntheticBatch{Records: 1000, RecordBytes: 100, RandomFrac: 0.3, Compression: codec}))
			if err != nil {
				b.Fatal(err)
			}
			defer broker.Close()
			benchSession(b, Config{Brokers: broker.ListenAddrs(), Compression: compression})
		})
	}
}

func benchSession(b *testing.B, cfg Config) {
	s, err := NewSession(cfg, SessionConfig{Group: "g", Topics: []engine.Topic{"in"}, TransactionalID: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(true)
	ctx := context.Background()
	value := make([]byte, 100)
	var gen, number int64 = -1, 0
	var recs []engine.Record
	pos := map[engine.TopicPartition]engine.Offset{}
	b.ReportAllocs()
	b.SetBytes(100)
	b.ResetTimer()
	for n := 0; n < b.N; {
		if g, owned := s.Assignment(); g != gen {
			gen = g
			clear(pos)
			for _, tp := range owned {
				pos[tp] = 0
			}
			s.SetPositions(pos)
			s.Resume(owned)
		}
		if err := s.Begin(); err != nil {
			b.Fatal(err)
		}
		touched := map[engine.TopicPartition]bool{}
		for start := time.Now(); n < b.N && time.Since(start) < 100*time.Millisecond; {
			rows, err := s.Poll(ctx, 4096, 100*time.Millisecond)
			if err != nil {
				b.Fatal(err)
			}
			for _, r := range rows {
				tp := engine.TopicPartition{Topic: r.Topic, Partition: r.Partition}
				touched[tp], pos[tp] = true, r.Next
				recs = recs[:0]
				for range r.Len() / 10 {
					recs = append(recs, engine.Record{Topic: "out", Partition: r.Partition, Key: value[:8], Value: value})
				}
				s.Produce(recs)
				n += r.Len()
			}
		}
		number++
		var offsets []engine.OffsetCommit
		for tp := range touched {
			offsets = append(offsets, engine.OffsetCommit{TopicPartition: tp, Offset: pos[tp], Metadata: fmt.Sprint("x#", number)})
		}
		if outcome, err := s.End(ctx, true, number, offsets); outcome != engine.Done && len(offsets) > 0 {
			b.Fatal(outcomeName(outcome), err)
		}
		s.AllowRebalance()
	}
}
