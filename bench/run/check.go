package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What pipelines/hopping.yaml says, once more and by hand.
const (
	sizeMS, advanceMS     = 60_000, 10_000
	outOfOrdernessMS      = 5_000
	kelvin, lowest, above = 273.15, -60.0, 150.0
	tolerance             = 1e-9
)

type window struct {
	key   string
	start int64
}

type stats struct {
	count         int64
	sum, min, max float64
	partition     int32
	seen          bool
}

// checkChild computes from the topic what must be in the output, and compares:
// every window that the watermark of its partition has passed, once, and no other.
func checkChild(args []string) error {
	flags := flag.NewFlagSet("child-check", flag.ExitOnError)
	brokers := flags.String("brokers", "", "")
	topic := flags.String("topic", "", "")
	out := flags.String("out", "", "")
	flags.Parse(args)
	ctx := context.Background()

	windows := map[window]*stats{}
	greatest := map[int32]int64{}
	err := readAll(ctx, *brokers, *topic, func(r *kgo.Record) error {
		var row struct {
			Sensor string  `json:"sensor_id"`
			TS     int64   `json:"ts"`
			Temp   float64 `json:"temp"`
		}
		if err := json.Unmarshal(r.Value, &row); err != nil {
			return err
		}
		if late := greatest[r.Partition] - outOfOrdernessMS; late > row.TS {
			return fmt.Errorf("row at offset %d is later than the workload promises", r.Offset)
		}
		greatest[r.Partition] = max(greatest[r.Partition], row.TS)
		if row.Temp <= lowest || row.Temp >= above {
			return nil
		}
		v := row.Temp + kelvin
		for start := row.TS - row.TS%advanceMS; start > row.TS-sizeMS; start -= advanceMS {
			s := windows[window{row.Sensor, start}]
			if s == nil {
				s = &stats{min: math.Inf(1), max: math.Inf(-1), partition: r.Partition}
				windows[window{row.Sensor, start}] = s
			}
			s.count, s.sum, s.min, s.max = s.count+1, s.sum+v, min(s.min, v), max(s.max, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	found := 0
	err = readAll(ctx, *brokers, *out, func(r *kgo.Record) error {
		var row struct {
			Sensor             string `json:"sensor_id"`
			Start              int64  `json:"window_start"`
			End                int64  `json:"window_end"`
			Count              int64
			Sum, Min, Max, Avg float64
		}
		if err := json.Unmarshal(r.Value, &row); err != nil {
			return fmt.Errorf("result %s: %w", r.Value, err)
		}
		s := windows[window{row.Sensor, row.Start}]
		switch {
		case s == nil || row.End != row.Start+sizeMS:
			return fmt.Errorf("result %s: there is no such window", r.Value)
		case s.seen:
			return fmt.Errorf("result %s: it came before", r.Value)
		case row.Count != s.count || row.Min != s.min || row.Max != s.max || !near(row.Sum, s.sum) || !near(row.Avg, s.sum/float64(s.count)):
			return fmt.Errorf("result %s: want %+v", r.Value, *s)
		}
		s.seen = true
		found++
		return nil
	})
	if err != nil {
		return err
	}
	for w, s := range windows {
		closed := w.start+sizeMS <= greatest[s.partition]-outOfOrdernessMS
		if closed != s.seen {
			return fmt.Errorf("window %v of partition %d, whose greatest time is %d: closed should be %v, result came %v",
				w, s.partition, greatest[s.partition], closed, s.seen)
		}
	}
	fmt.Printf("%s results, each right and there once\n", thousands(found))
	return nil
}

func near(got, want float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))
}

// readAll gives f every committed record of a topic.
func readAll(ctx context.Context, brokers, topic string, f func(*kgo.Record) error) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.ConsumeTopics(topic), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return fmt.Errorf("read %s: %w", topic, err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", topic, err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s: %w", topic, err)
		}
		for records := fetches.RecordIter(); !records.Done(); {
			r := records.Next()
			if !r.Attrs.IsControl() {
				if err := f(r); err != nil {
					return fmt.Errorf("check %s: %w", topic, err)
				}
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		}
	}
	return nil
}
