package truth

import (
	"fmt"
	"strconv"
	"strings"
)

// A Window is one sensor's window; it starts at Start, in epoch milliseconds.
type Window struct {
	Sensor string
	Start  int64
}

// An Answer is what a window holds. Sum, Min and Max are hundredths of a
// degree: exact, as the readings have two decimals.
type Answer struct {
	Count         int64
	Sum, Min, Max int64
}

// Answers are all windows of one kind, with the size they share, in ms.
type Answers struct {
	SizeMS  int64
	Windows map[Window]Answer
}

// Tumbling60 are the tumbling windows of 60 s: 48,944 of them.
func Tumbling60() Answers { return load("tumbling60") }

// Hopping60By10 are the windows of 60 s that start every 10 s: 293,094.
func Hopping60By10() Answers { return load("hopping60_10") }

// The files are lines of "sensor", then that sensor's windows in order of time:
// "steps of 10 s since the window before,count,sum[,min,max]". A window of one
// reading needs no min and max.
func load(name string) Answers {
	out := Answers{SizeMS: 60_000, Windows: map[Window]Answer{}}
	var sensor string
	var start int64
	mustScan(name, func(line string) error {
		f := strings.Split(line, ",")
		if len(f) == 1 {
			n, err := strconv.Atoi(line)
			sensor, start = sensorID(n), epochMS-800_000
			return err
		}
		if len(f) != 3 && len(f) != 5 {
			return fmt.Errorf("%d fields, want 1, 3 or 5", len(f))
		}
		var err error
		number := func(s string) int64 {
			n, e := strconv.ParseInt(strings.Replace(s, ".", "", 1), 10, 64)
			if e != nil {
				err = e
			}
			return n
		}
		start += number(f[0]) * 10_000
		a := Answer{Count: number(f[1]), Sum: number(f[2])}
		a.Min, a.Max = a.Sum, a.Sum
		if len(f) == 5 {
			a.Min, a.Max = number(f[3]), number(f[4])
		}
		out.Windows[Window{sensor, start}] = a
		return err
	})
	return out
}
