package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A summary is the line that leat run --until-end prints, and rawChild too.
type summary struct {
	RecordsIn    int64   `json:"records_in"`
	RecordsOut   int64   `json:"records_out"`
	Seconds      float64 `json:"seconds"`      // first poll that returned rows to the end
	WallSeconds  float64 `json:"wall_seconds"` // of the process
	CPUSeconds   float64 `json:"cpu_seconds"`
	PeakRSSBytes int64   `json:"peak_rss_bytes"`
}

// rawChild polls a topic to its end and looks at every record: the least that
// any program has to do which reads it.
func rawChild(args []string) error {
	flags := flag.NewFlagSet("child-raw", flag.ExitOnError)
	brokers := flags.String("brokers", "", "")
	topic := flags.String("topic", "", "")
	n := flags.Int64("rows", 0, "")
	flags.Parse(args)

	ctx := context.Background()
	started := time.Now()
	cl, err := kgo.NewClient(kgo.SeedBrokers(*brokers), kgo.ConsumeTopics(*topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return fmt.Errorf("read %s: %w", *topic, err)
	}
	defer cl.Close()
	var s summary
	var first time.Time
	var bytes int
	for s.RecordsIn < *n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s: %w", *topic, err)
		}
		if first.IsZero() && fetches.NumRecords() > 0 {
			first = time.Now()
		}
		fetches.EachRecord(func(r *kgo.Record) {
			s.RecordsIn++
			bytes += len(r.Key) + len(r.Value)
		})
	}
	s.Seconds = time.Since(first).Seconds()
	s.WallSeconds = time.Since(started).Seconds()
	if bytes == 0 {
		return fmt.Errorf("read %s: %d records and not one byte", *topic, s.RecordsIn)
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

func unixMilli(ms int64) time.Time { return time.UnixMilli(ms) }
