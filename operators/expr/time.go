package expr

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

// duration is duration("15m"), in milliseconds.
func duration(_ *compiler, k call) (*node, error) {
	x := k.args[0]
	if x.t != tString {
		return nil, k.wrong(0)
	}
	if x.konst != nil {
		ms, err := millis(x)
		if err != nil {
			return nil, err
		}
		return constant(IntValue(ms)), nil
	}
	return fn1(tInt, x, strs, ints, parseMillis), nil
}

// millis reads a constant duration.
func millis(x *node) (int64, error) {
	if x.konst == nil || x.t != tString {
		return 0, x.at.errorf(`like "15m"`, "a duration is a constant text here")
	}
	ms, err := parseMillis(x.konst.text)
	if err != nil {
		return 0, x.at.errorf(`like "15m", "1h30m", "2d"`, "%s", err)
	}
	return ms, nil
}

// parseMillis reads Go's durations and d, days of 24 hours.
func parseMillis(s string) (int64, error) {
	wrong := fmt.Errorf("%s is no duration", quote(s))
	rest, sign := s, int64(1)
	if strings.HasPrefix(rest, "-") {
		rest, sign = rest[1:], -1
	}
	var days float64
	if n, after, ok := strings.Cut(rest, "d"); ok {
		d, err := strconv.ParseFloat(n, 64)
		if err != nil || d < 0 {
			return 0, wrong
		}
		days, rest = d, after
		if rest == "" {
			rest = "0"
		}
	}
	if rest == "" || rest[0] == '-' || rest[0] == '+' {
		return 0, wrong
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, wrong
	}
	const dayMillis = 24 * 60 * 60 * 1000
	if d%time.Millisecond != 0 || math.Trunc(days*dayMillis) != days*dayMillis {
		return 0, fmt.Errorf("%s is not a whole number of milliseconds", quote(s))
	}
	if days > 200*365 {
		return 0, fmt.Errorf("%s is too long", quote(s))
	}
	return sign * (int64(days*dayMillis) + d.Milliseconds()), nil
}

// bucket is bucket(ts, "1m") or bucket(n, 10): the greatest multiple that is
// not above it. With a zone it is the start of the window of its calendar.
func bucket(_ *compiler, k call) (*node, error) {
	x, w := k.args[0], k.args[1]
	if len(k.args) == 3 {
		return civilBucket(k)
	}
	var width int64
	switch {
	case x.t == tTimestamp && w.konst != nil && civilPattern.MatchString(w.konst.text) && !strings.HasSuffix(w.konst.text, "d"):
		return nil, w.at.errorf(k.usage, "weeks, months and years are those of a time zone")
	case x.t == tTimestamp:
		ms, err := millis(w)
		if err != nil {
			return nil, err
		}
		width = ms
	case x.t == tInt && w.konst != nil && w.t == tInt:
		width = w.konst.num
	default:
		return nil, k.wrong(0)
	}
	if width <= 0 {
		return nil, w.at.errorf("", "the width of a bucket is above 0")
	}
	return fn1(x.t, x, ints, ints, func(v int64) (int64, error) {
		m := v % width
		if m < 0 {
			m += width
		}
		out, ok := subInts(v, m)
		if !ok {
			return 0, overflow(v, "-", m)
		}
		return out, nil
	}), nil
}

// civilPattern is a span of the calendar, as windows with a time_zone have it.
var civilPattern = regexp.MustCompile(`^([1-9][0-9]{0,5})(d|w|mo|y)$`)

var civilUnits = map[string]window.Unit{"d": window.Days, "w": window.Weeks, "mo": window.Months, "y": window.Years}

// civilBucket is bucket(ts, "1d", "Europe/Berlin"): where the tumbling window
// of this size and time_zone starts that ts is in.
func civilBucket(k call) (*node, error) {
	x, w, z := k.args[0], k.args[1], k.args[2]
	switch {
	case x.t != tTimestamp:
		return nil, k.wrong(0)
	case w.konst == nil || w.t != tString:
		return nil, w.at.errorf(`like "1d"`, "a duration is a constant text here")
	case z.konst == nil || z.t != tString:
		return nil, z.at.errorf(`like "Europe/Berlin"`, "a time zone is a constant text here")
	}
	if _, err := zoneOf(z); err != nil {
		return nil, err
	}
	spec := window.Spec{Kind: "tumbling", Zone: z.konst.text}
	if m := civilPattern.FindStringSubmatch(w.konst.text); m != nil {
		spec.Size, _ = strconv.ParseInt(m[1], 10, 64) // the pattern has it fit
		spec.SizeUnit = civilUnits[m[2]]
	} else {
		var err error
		if spec.Size, err = millis(w); err != nil {
			return nil, err
		}
	}
	if spec.Size <= 0 {
		return nil, w.at.errorf("", "the width of a bucket is above 0")
	}
	if err := spec.Check(); err != nil {
		return nil, w.at.errorf("", "%s", err)
	}
	calendar, err := window.New(spec)
	if err != nil {
		return nil, w.at.errorf("", "%s", err)
	}
	// The times of a batch lie close together: most are in the bucket before.
	from, to := int64(0), int64(0)
	return safe(fn1(tTimestamp, x, ints, ints, func(t int64) (int64, error) {
		if t < from || t >= to {
			from, to = calendar.PaneStart(t), calendar.PaneEnd(t)
		}
		return from, nil
	}), x), nil
}

// zoneOf is a constant time zone.
func zoneOf(z *node) (*time.Location, error) {
	zone, err := time.LoadLocation(z.konst.text)
	if err != nil || z.konst.text == "Local" || z.konst.text == "" {
		return nil, z.at.errorf(`like "Europe/Berlin"`, "unknown time zone %q", z.konst.text)
	}
	return zone, nil
}

var timeUnits = map[string]int64{"s": 1000, "ms": 1, "us": -1000, "ns": -1000000}

// parseTime is parse_time(text), RFC 3339, parse_time(text, layout, zone), or
// parse_time(number, unit).
func parseTime(_ *compiler, k call) (*node, error) {
	x := k.args[0]
	if x.t == tInt {
		unit := int64(1)
		if len(k.args) > 1 {
			u := k.args[1]
			if u.konst == nil || timeUnits[u.konst.text] == 0 || len(k.args) > 2 {
				return nil, u.at.errorf("", `the unit of a number is "s", "ms", "us" or "ns"`)
			}
			unit = timeUnits[u.konst.text]
		}
		return fn1(tTimestamp, x, ints, ints, func(v int64) (int64, error) {
			if unit < 0 {
				return floorDiv(v, -unit), nil
			}
			ms, ok := mulInts(v, unit)
			if !ok {
				return 0, overflow(v, "*", unit)
			}
			return ms, nil
		}), nil
	}
	if x.t != tString {
		return nil, k.wrong(0)
	}
	layout, zone, err := k.layout()
	if err != nil {
		return nil, err
	}
	shown, zoned := "RFC 3339", zoneTokens.MatchString(layout)
	if layout == rfc3339 {
		layout = time.RFC3339
	}
	if len(k.args) > 1 {
		shown = k.args[1].konst.text
	}
	return fn1(tTimestamp, x, strs, ints, func(s string) (int64, error) {
		t, err := time.ParseInLocation(layout, s, zone)
		if err != nil {
			return 0, fmt.Errorf("parse_time(%s): it is not like %s", quote(s), shown)
		}
		if !zoned {
			t = earlier(t)
		}
		return t.UnixMilli(), nil
	}), nil
}

// zoneTokens are what a layout with an offset or the name of a zone has.
var zoneTokens = regexp.MustCompile(`Z07|[-+]07|MST`)

// earlier is the first of the two times at which the clock of t's zone shows
// the same; time.Parse may give either.
func earlier(t time.Time) time.Time {
	start, _ := t.ZoneBounds()
	if start.IsZero() {
		return t
	}
	_, now := t.Zone()
	_, was := start.Add(-1).Zone()
	if e := t.Add(time.Duration(now-was) * time.Second); was > now && e.Before(start) {
		return e
	}
	return t
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// formatTime is format_time(ts), format_time(ts, layout) or with a zone.
func formatTime(_ *compiler, k call) (*node, error) {
	if k.args[0].t != tTimestamp {
		return nil, k.wrong(0)
	}
	layout, zone, err := k.layout()
	if err != nil {
		return nil, err
	}
	return safe(rowwise(tString, k.args[:1], func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		t := time.UnixMilli(in[0].Ints[i]).In(zone)
		out.Strs[i] = f.keep(t.AppendFormat(f.bytes(len(layout)+16), layout))
		return nil
	}), k.args[0]), nil
}

// rfc3339 is the default layout; time.Parse takes any number of decimals.
const rfc3339 = "2006-01-02T15:04:05.000Z07:00"

// layout reads the arguments behind the first: a layout, Go's or strftime's,
// and a time zone; RFC 3339 and UTC by default.
func (k call) layout() (string, *time.Location, error) {
	layout, zone := rfc3339, time.UTC
	for _, a := range k.args[1:] {
		if a.konst == nil || a.t != tString {
			return "", nil, a.at.errorf(k.usage, "layout and zone are constant texts")
		}
	}
	if len(k.args) > 1 {
		var err error
		if layout, err = goLayout(k.args[1]); err != nil {
			return "", nil, err
		}
	}
	if len(k.args) > 2 {
		var err error
		if zone, err = zoneOf(k.args[2]); err != nil {
			return "", nil, err
		}
	}
	return layout, zone, nil
}

// strftime are the verbs that a layout may have, as Go writes them.
var strftime = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'j': "002",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'L': "000", 'f': "000000", 'p': "PM",
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January",
	'z': "-0700", 'Z': "MST", 'F': "2006-01-02", 'T': "15:04:05", '%': "%",
}

func goLayout(a *node) (string, error) {
	s := a.konst.text
	if s == "" {
		return "", a.at.errorf(`like "%Y-%m-%d" or "2006-01-02"`, "the layout is empty")
	}
	if !strings.Contains(s, "%") {
		return s, nil
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out.WriteByte(s[i])
			continue
		}
		i++
		fraction := i < len(s) && (s[i] == 'L' || s[i] == 'f') // Go has it behind a point only
		if i == len(s) || strftime[s[i]] == "" || fraction && (i < 2 || s[i-2] != '.') {
			return "", a.at.errorf("", "the layout does not understand %%%s here", s[i:min(i+1, len(s))])
		}
		out.WriteString(strftime[s[i]])
	}
	return out.String(), nil
}
