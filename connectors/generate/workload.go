package generate

import (
	"fmt"
	"math/rand"
	randv2 "math/rand/v2"
	"strings"
)

// WorkloadStart is the event time at which all workloads begin, epoch ms.
const WorkloadStart int64 = 1700000000000

// WorkloadKeys is how many sensors the workloads have.
const WorkloadKeys = 10000

const workloadSeed = 42

// Workloads lists what NewWorkload makes, by name.
var Workloads = []struct {
	Name, Doc string
	Rows      int
	Seconds   int // of event time
}{
	{"peers", "10,000 sensors by Zipf(s=1.1, v=20), up to 2 s of disorder: many results, about one per row at hopping 60 s/10 s; its first 1,000,000 rows are the workload to compare systems on", 5_000_000, 7200},
	{"dense", "10,000 sensors in turn, each once a second, in order: few results, one per ten rows at hopping 60 s/10 s", 5_000_000, 500},
}

// Workload makes the rows of a benchmark's topic, 178 bytes on average. The
// key of a record is its sensor_id. Use it from one goroutine.
type Workload struct {
	Name string
	Rows int // how many Next gives

	seconds int
	row     int
	zipf    *rand.Zipf // nil: sensors in turn
	noise   *randv2.Rand
	value   []byte
	sensor  []byte
}

// NewWorkload starts a workload at its first row. The error names those there are.
func NewWorkload(name string) (*Workload, error) {
	var names []string
	for _, w := range Workloads {
		if w.Name != name {
			names = append(names, w.Name)
			continue
		}
		made := &Workload{Name: w.Name, Rows: w.Rows, seconds: w.Seconds, noise: randv2.New(randv2.NewPCG(workloadSeed, 0))}
		if name == "peers" {
			// math/rand and not v2: its sequence for a seed is frozen.
			made.zipf = rand.NewZipf(rand.New(rand.NewSource(workloadSeed)), 1.1, 20, WorkloadKeys-1)
		}
		return made, nil
	}
	return nil, fmt.Errorf("there is no workload %q, only %s", name, strings.Join(names, ", "))
}

// Next gives the next row and its event time (epoch ms); ok is false behind the
// last one. key and value are good until the next call.
func (w *Workload) Next() (key, value []byte, ts int64, ok bool) {
	if w.row == w.Rows {
		return nil, nil, 0, false
	}
	n := w.row % WorkloadKeys
	ts = WorkloadStart + int64(w.row)*int64(w.seconds)*1000/int64(w.Rows)
	if w.zipf != nil {
		n = int(w.zipf.Uint64())
		ts -= w.noise.Int64N(2001)
	}
	// What is the sensor's own follows from its number.
	own := int64(n) * 7919
	c := &cities[own%int64(len(cities))]
	w.sensor = appendSensor(w.sensor[:0], n)
	r := reading{
		sensor: w.sensor, site: c.name, ts: ts,
		temp: 1900 + own%900 + w.noise.Int64N(301) - 150,
		hum:  350 + own%350 + w.noise.Int64N(81) - 40,
		bat:  3000 + own%900 + w.noise.Int64N(11) - 5,
		fw:   4 + own%3, lat: c.lat, lon: c.lon, seq: int64(w.row), status: "ok",
	}
	if w.noise.Int64N(20) == 0 {
		r.status = "warn"
	}
	w.value = r.append(w.value[:0])
	w.row++
	return w.sensor, w.value, ts, true
}
