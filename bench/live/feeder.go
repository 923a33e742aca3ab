//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// feeder writes the view's topic as a task would: some rows a few times a
// frame, and a mark each second.
type feeder struct {
	client *kgo.Client
	still  atomic.Bool
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Ten rows of 300 bytes a frame are some 3 KB. They come in five parts, so that
// no frame of the node's clock is without any, whenever it ticks.
const (
	rowsAtOnce    = 2
	partsPerFrame = 5
)

var pad = strings.Repeat("x", 230)

func newFeeder(ctx context.Context, brokers string, refresh time.Duration) (*feeder, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.DefaultProduceTopic(string(view.Topic)), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		return nil, fmt.Errorf("feed the view: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &feeder{client: client, cancel: cancel}
	f.wg.Go(func() {
		tick := time.NewTicker(refresh / partsPerFrame)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				f.send(ctx, n, now)
			}
		}
	})
	return f, nil
}

func (f *feeder) send(ctx context.Context, n int, now time.Time) {
	var recs []*kgo.Record
	if !f.still.Load() {
		for i := range rowsAtOnce {
			key := fmt.Sprintf("key-%03d", (n*rowsAtOnce+i)%100)
			recs = append(recs, &kgo.Record{Key: []byte(key), Value: fmt.Appendf(nil, `{"k":%q,"pad":%q,"sent":%d}`, key, pad, now.UnixMicro())})
		}
	}
	if n%(4*partsPerFrame) == 0 {
		recs = append(recs, &kgo.Record{Key: []byte("\x00mark/0"), Value: fmt.Appendf(nil, `{"watermark":%d,"at":%d}`, now.UnixMilli(), now.UnixMilli())})
	}
	if len(recs) == 0 {
		return
	}
	f.client.ProduceSync(ctx, recs...)
}

// pause keeps the rows as they are; marks go on.
func (f *feeder) pause(on bool) { f.still.Store(on) }

func (f *feeder) close() {
	f.cancel()
	f.wg.Wait()
	f.client.Close()
}
