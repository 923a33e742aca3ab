package generate

import (
	"math/rand/v2"
	"time"
)

// Readings is the demo's stream: sensors in eight cities that report in turn,
// with a day's curve of temperature, and with what real streams have:
//
//	disorder   each row was measured up to Disorder before it is sent
//	late       1 row in 300 was held back for 20 to 90 s
//	bad        1 row in 500: cut off, a temperature that is text, no ts
//	a burst    each BurstEvery, one city's sensors send at five times the rate, for 6 s
//	silence    each SilenceEvery, one sensor says nothing for 90 s
//
// Use it from one goroutine. The n-th row depends on the arguments of
// NewReadings and n only.
type Readings struct {
	opts  ReadingsOptions
	rng   *rand.Rand
	start time.Time
	after time.Duration // since start: when the next row is sent
	turn  int           // whose turn it is
	seq   int64
	order []int   // sensors in the order of their turns
	drift []int64 // per sensor: hundredths of a degree, wandering around 0
	value []byte
	key   []byte
}

// ReadingsOptions are for who wants more or less than the demo; zero values
// stand for the defaults.
type ReadingsOptions struct {
	Sensors      int           // default 120
	Rate         float64       // rows per second outside bursts; default 60
	Disorder     time.Duration // default 4s; the language's default bound is 5s
	BurstEvery   time.Duration // default 90s; the first is 45s in
	SilenceEvery time.Duration // default 5m; the first begins 60s in
	Clean        bool          // no late and no bad rows
}

const (
	burstLasts   = 6 * time.Second
	burstFactor  = 5
	silenceLasts = 90 * time.Second
	lateOneIn    = 300
	badOneIn     = 500
)

// NewReadings makes the stream of a seed that begins at start.
func NewReadings(seed uint64, start time.Time, opts ReadingsOptions) *Readings {
	if opts.Sensors <= 0 {
		opts.Sensors = 120
	}
	if opts.Rate <= 0 {
		opts.Rate = 60
	}
	if opts.Disorder <= 0 {
		opts.Disorder = 4 * time.Second
	}
	if opts.BurstEvery <= 0 {
		opts.BurstEvery = 90 * time.Second
	}
	if opts.SilenceEvery <= 0 {
		opts.SilenceEvery = 5 * time.Minute
	}
	rng := rand.New(rand.NewPCG(seed, 0x1ea7))
	return &Readings{opts: opts, rng: rng, start: start, order: rng.Perm(opts.Sensors), drift: make([]int64, opts.Sensors)}
}

// Next gives the next row and when it is to be sent: at never goes back. key
// and value are good until the next call.
func (g *Readings) Next() (key, value []byte, at time.Time) {
	burst := g.within(g.opts.BurstEvery, g.opts.BurstEvery/2, burstLasts)
	gap := float64(time.Second) / g.opts.Rate
	if burst {
		gap /= burstFactor
	}
	g.after += time.Duration(gap/2) + time.Duration(g.rng.Int64N(int64(gap)+1))
	at = g.start.Add(g.after)

	sensor := g.sensor(burst)
	r := g.measure(sensor, at)
	g.value = r.append(g.value[:0])
	g.seq++
	if !g.opts.Clean && g.rng.IntN(badOneIn) == 0 {
		g.spoil(&r)
	}
	g.key = append(g.key[:0], r.sensor...)
	return g.key, g.value, at
}

// sensor picks whose row is next: in turn, in a burst one of a city's, and
// never the silent one.
func (g *Readings) sensor(burst bool) int {
	silent := -1
	if g.within(g.opts.SilenceEvery, g.opts.SilenceEvery/5, silenceLasts) {
		silent = int(g.after/g.opts.SilenceEvery) * 37 % g.opts.Sensors
	}
	city := -1
	if burst {
		city = int(g.after/g.opts.BurstEvery) % len(cities)
	}
	for range 2 * g.opts.Sensors {
		g.turn++
		sensor := g.order[g.turn%len(g.order)]
		if sensor != silent && (city < 0 || sensor%len(cities) == city) {
			return sensor
		}
	}
	return g.order[0] // there are fewer sensors than cities
}

// within tells whether now is in the stretch of a cycle that begins at from.
func (g *Readings) within(cycle, from, lasts time.Duration) bool {
	into := g.after % cycle
	return from <= into && into < from+lasts
}

// measure is what a sensor measured shortly before at.
func (g *Readings) measure(sensor int, at time.Time) reading {
	back := g.rng.Int64N(int64(g.opts.Disorder/time.Millisecond) + 1)
	back = back * g.rng.Int64N(1001) / 1000 // most are small
	if !g.opts.Clean && g.rng.IntN(lateOneIn) == 0 {
		back = 20_000 + g.rng.Int64N(70_001)
	}
	ts := at.UnixMilli() - back

	c := &cities[sensor%len(cities)]
	own := int64(sensor) * 7919
	g.drift[sensor] = g.drift[sensor]*31/32 + g.rng.Int64N(41) - 20
	// The day's warmest hour is three in the afternoon, by the sun.
	dayMs := int64(24 * time.Hour / time.Millisecond)
	sun := ts + c.lon*dayMs/360_000 - dayMs*9/24
	temp := c.mean + own%300 - 150 + c.swing*sine(((sun%dayMs+dayMs)%dayMs)*360/dayMs)/1000 + g.drift[sensor] + g.rng.Int64N(15) - 7
	elapsed := int64(g.after / time.Second)
	g.key = appendSensor(g.key[:0], sensor)
	r := reading{
		sensor: g.key, site: c.name, ts: ts, temp: temp,
		hum:    min(max(740-(temp-c.mean)/3+own%120-60+g.rng.Int64N(21)-10, 150), 1000),
		bat:    4150 - own%1000 - elapsed/120%900 + g.rng.Int64N(5) - 2,
		status: "ok", fw: 4 + own%3, lat: c.lat + own%90 - 45, lon: c.lon + own%140 - 70, seq: g.seq,
	}
	if r.bat < 3200 || g.rng.IntN(100) == 0 {
		r.status = "warn"
	}
	return r
}

// spoil makes the row a bad one, each kind in its turn.
func (g *Readings) spoil(r *reading) {
	switch g.rng.IntN(3) {
	case 0: // cut off
		g.value = g.value[:20+g.rng.IntN(len(g.value)-20)]
		return
	case 1:
		r.tempIsText = true
	case 2:
		r.withoutTs = true
	}
	g.value = r.append(g.value[:0])
}

// sine is 1000 times the sine of an angle in degrees, 0 to 359, within 2, by
// Bhaskara's formula: whole numbers are the same everywhere.
func sine(degrees int64) int64 {
	if degrees >= 180 {
		return -sine(degrees - 180)
	}
	x := degrees * (180 - degrees)
	return 4000 * x / (40500 - x)
}
