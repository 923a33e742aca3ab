package generate

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
)

// What docs and published results say of the workloads: 178 bytes a row, and
// per row about one result (peers) or a tenth (dense) of a hopping window of
// 60 s every 10 s.
func TestWorkloadStatistics(t *testing.T) {
	const rows = 1_000_000
	for _, test := range []struct {
		name     string
		windows  float64 // that have rows, per row: the results
		seconds  float64 // of event time in these rows
		disorder int64   // ms
	}{
		{"peers", 0.990, 1440, 2000},
		{"dense", 0.150, 100, 0}, // a tenth, and in the first 100 s five more per sensor
	} {
		w, err := NewWorkload(test.name)
		if err != nil {
			t.Fatal(err)
		}
		length, newest, disorder := 0, int64(0), int64(0)
		var sensors [WorkloadKeys]int
		var seen [WorkloadKeys][200]bool // windows by their end, in steps of 10 s
		windows := 0
		for range rows {
			key, value, ts, ok := w.Next()
			if !ok {
				t.Fatal("ended")
			}
			if !bytes.HasPrefix(value, append([]byte(`{"sensor_id":"`), key...)) {
				t.Fatalf("key %s of %s", key, value)
			}
			length += len(value)
			sensor, err := strconv.Atoi(string(key[2:]))
			if err != nil {
				t.Fatal(err)
			}
			sensors[sensor]++
			newest = max(newest, ts)
			disorder = max(disorder, newest-ts)
			for k := range int64(6) {
				if at := &seen[sensor][(ts-WorkloadStart)/10000+1+k]; !*at {
					*at = true
					windows++
				}
			}
		}
		near(t, test.name+": bytes of a row", float64(length)/rows, 178, 0.6)
		if slices.Contains(sensors[:], 0) {
			t.Errorf("%s: a sensor has no row", test.name)
		}
		near(t, test.name+": disorder", float64(disorder), float64(test.disorder), 5)
		near(t, test.name+": seconds", float64(newest-WorkloadStart)/1000, test.seconds, 1)
		near(t, test.name+": windows of a row", float64(windows)/rows, test.windows, 0.001)
		if test.name == "peers" {
			near(t, "the busiest sensor's share", float64(sensors[0])/rows, 0.0107, 0.0005)
		}
	}
}

func TestWorkloadEnds(t *testing.T) {
	w, err := NewWorkload("dense")
	if err != nil {
		t.Fatal(err)
	}
	w.row = w.Rows - 1
	if _, _, ts, ok := w.Next(); !ok || ts != WorkloadStart+499_999 {
		t.Errorf("last row: %d, %v", ts, ok)
	}
	if _, _, _, ok := w.Next(); ok {
		t.Error("a row behind the last")
	}
}

func BenchmarkWorkload(b *testing.B) {
	w, err := NewWorkload("peers")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for range b.N {
		w.Next()
	}
}
