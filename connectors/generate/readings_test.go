package generate

import (
	"encoding/json"
	"testing"
	"time"
)

// Half an hour of the demo's stream has everything that its comment promises.
func TestReadingsStatistics(t *testing.T) {
	g := NewReadings(7, testStart, ReadingsOptions{})
	var rows, badRows, late, burstRows, quietRows int
	var newest int64
	last, sites := map[string]time.Time{}, map[string]int{}
	silences := 0
	previous := testStart
	for previous.Before(testStart.Add(30 * time.Minute)) {
		key, value, at := g.Next()
		if at.Before(previous) {
			t.Fatalf("at goes back from %v to %v", previous, at)
		}
		previous = at
		rows++
		into := at.Sub(testStart)
		switch cycle := into % (90 * time.Second); {
		case cycle >= 45*time.Second && cycle < 51*time.Second:
			burstRows++
		case cycle >= 20*time.Second && cycle < 26*time.Second:
			quietRows++
		}
		if seen, ok := last[string(key)]; ok && at.Sub(seen) > 85*time.Second {
			silences++
		}
		last[string(key)] = at
		var r row
		if bad(value, &r) {
			badRows++
			continue
		}
		if r.ID != string(key) {
			t.Fatalf("%s: %s", key, value)
		}
		sites[r.Site]++
		newest = max(newest, *r.TS)
		if back := at.UnixMilli() - *r.TS; back < 0 || back > 4000 {
			late++
			if back < 20_000 || back > 90_000 {
				t.Fatalf("%d ms late", back)
			}
		}
		if *r.Temp < -25 || *r.Temp > 45 || r.Hum < 10 || r.Hum > 100 || r.Bat < 2 || r.Bat > 4.2 {
			t.Fatalf("not believable: %s", value)
		}
	}
	near(t, "sensors", float64(len(last)), 120, 0)
	near(t, "cities", float64(len(sites)), 8, 0)
	near(t, "bad rows in 1000", 1000*float64(badRows)/float64(rows), 2, 0.4)
	near(t, "late rows in 1000", 1000*float64(late)/float64(rows), 3.33, 0.5)
	near(t, "a burst's rows to others'", float64(burstRows)/float64(quietRows), burstFactor, 0.2)
	near(t, "sensors gone silent", float64(silences), 6, 1)
}

// Afternoons are warmer than nights.
func TestReadingsDay(t *testing.T) {
	g := NewReadings(7, testStart, ReadingsOptions{Rate: 0.5, Clean: true})
	var sum, n [24]float64
	for {
		_, value, at := g.Next()
		if at.After(testStart.Add(24 * time.Hour)) {
			break
		}
		var r row
		if err := json.Unmarshal(value, &r); err != nil {
			t.Fatal(err)
		}
		sum[at.Hour()] += *r.Temp
		n[at.Hour()]++
	}
	night, afternoon := sum[3]/n[3], sum[14]/n[14]
	near(t, "how much warmer", afternoon-night, 8.5, 2)
}

// The options are kept, also odd ones.
func TestReadingsOptions(t *testing.T) {
	g := NewReadings(1, testStart, ReadingsOptions{Sensors: 1, Rate: 1000, Disorder: time.Millisecond, Clean: true})
	var at time.Time
	for range 20_000 {
		key, value, sent := g.Next()
		var r row
		if err := json.Unmarshal(value, &r); err != nil || string(key) != "s-00000" || sent.UnixMilli()-*r.TS > 1 {
			t.Fatalf("%v %s: %v", sent, value, err)
		}
		at = sent
	}
	near(t, "seconds", at.Sub(testStart).Seconds(), 20, 0.5)
}
