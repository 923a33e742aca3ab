package truth

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// tolerance for sums and averages, which are floats added in some order.
const tolerance = 1e-9

// A Check compares results with Answers, one row at a time, in any order.
// It is used from one goroutine.
type Check struct {
	want     Answers
	seen     map[Window]int
	repeated int
	wrong    int
	unknown  int
	broken   int
	examples []string
}

// NewCheck starts a comparison: a final Done says whether the rows given to
// Row were the answers, each exactly once.
func NewCheck(want Answers) *Check {
	return &Check{want: want, seen: make(map[Window]int, len(want.Windows))}
}

// Row takes one result: the JSON value of a row with sensor_id, window_start,
// window_end (epoch ms), count, sum, min, max, avg.
func (c *Check) Row(value []byte) {
	var row struct {
		Sensor *string      `json:"sensor_id"`
		Start  *json.Number `json:"window_start"`
		End    *json.Number `json:"window_end"`
		Count  *json.Number `json:"count"`
		Sum    *float64     `json:"sum"`
		Min    *float64     `json:"min"`
		Max    *float64     `json:"max"`
		Avg    *float64     `json:"avg"`
	}
	if err := json.Unmarshal(value, &row); err != nil {
		c.note(&c.broken, "not JSON (%v): %s", err, value)
		return
	}
	if row.Sensor == nil || row.Start == nil || row.End == nil || row.Count == nil ||
		row.Sum == nil || row.Min == nil || row.Max == nil || row.Avg == nil {
		c.note(&c.broken, "a column is missing or null: %s", value)
		return
	}
	start, err1 := row.Start.Int64()
	end, err2 := row.End.Int64()
	count, err3 := row.Count.Int64()
	if err := errors.Join(err1, err2, err3); err != nil {
		c.note(&c.broken, "not a whole number (%v): %s", err, value)
		return
	}
	w := Window{*row.Sensor, start}
	want, ok := c.want.Windows[w]
	if !ok || end-start != c.want.SizeMS {
		c.note(&c.unknown, "no such window: %s", value)
		return
	}
	c.seen[w]++
	if c.seen[w] > 1 {
		c.note(&c.repeated, "repeated (%d times now): %s", c.seen[w], value)
	}
	sum := float64(want.Sum) / 100
	if count != want.Count || *row.Min != float64(want.Min)/100 || *row.Max != float64(want.Max)/100 ||
		!near(*row.Sum, sum) || !near(*row.Avg, sum/float64(want.Count)) {
		c.note(&c.wrong, "wrong: %s, want count %d, sum %v, min %v, max %v", value,
			want.Count, sum, float64(want.Min)/100, float64(want.Max)/100)
	}
}

// Found is how many different windows have come so far.
func (c *Check) Found() int { return len(c.seen) }

// Done says what is missing, repeated, wrong or made up; nil if nothing is.
func (c *Check) Done() error {
	missing := 0
	for w, a := range c.want.Windows {
		if c.seen[w] == 0 {
			c.note(&missing, "missing: %s from %d, %d readings", w.Sensor, w.Start, a.Count)
		}
	}
	if missing+c.repeated+c.wrong+c.unknown+c.broken == 0 {
		return nil
	}
	return fmt.Errorf("of %d windows: %d missing, %d repeated, %d wrong, %d made up, %d unreadable:\n  %s",
		len(c.want.Windows), missing, c.repeated, c.wrong, c.unknown, c.broken, strings.Join(c.examples, "\n  "))
}

// note counts a fault and keeps the first few of each kind to show.
func (c *Check) note(kind *int, format string, args ...any) {
	*kind++
	if *kind <= 3 {
		c.examples = append(c.examples, fmt.Sprintf(format, args...))
	}
}

func near(got, want float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(1, math.Abs(want))
}
