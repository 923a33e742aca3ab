package window

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestManual runs the text files: each reads as the manual of its subject.
func TestManual(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := &manual{t: t}
		datadriven.RunTest(t, path, m.run)
	})
}

// manual holds what the commands of one file work on.
type manual struct {
	t *testing.T
	a Assigner
	p Watermark
	v *Vector
	// Of windows in a time zone times are its clock's.
	loc *time.Location
}

// format writes a time: seconds since the epoch, or as the zone's clock shows it.
func (m *manual) format(t int64) string {
	if m.loc == nil {
		return Format(t)
	}
	return time.UnixMilli(t).In(m.loc).Format("2006-01-02T15:04-07")
}

func (m *manual) window(end int64) string {
	return "[" + m.format(m.a.Start(end)) + "," + m.format(end) + ")"
}

// civil reads 5s, 2d, 1w, 3mo, 1y.
func (m *manual) civil(d *datadriven.TestData, key string) (int64, Unit) {
	var v string
	if !d.MaybeScanArgs(m.t, key, &v) {
		return 0, Millis
	}
	for _, u := range []Unit{Days, Weeks, Months, Years} {
		if n, ok := strings.CutSuffix(v, u.String()); ok {
			return int64(m.number(n)), u
		}
	}
	return m.time(v), Millis
}

func (m *manual) run(t *testing.T, d *datadriven.TestData) string {
	m.t = t
	switch d.Cmd {
	case "window": // window [type] [size=] [advance=] [offset=] [grace=]
		a, err := New(m.spec(d))
		if err != nil {
			return "error: " + err.Error() + "\n"
		}
		m.a = a
		if a.PaneWidth() == 0 {
			return "panes of the calendar\n"
		}
		return "panes of " + Format(a.PaneWidth()) + "\n"
	case "row":
		return m.lines(d, m.row)
	case "after":
		return m.lines(d, func(f []string) string {
			return "ends at " + Format(m.a.EndsAfter(m.time(f[0])))
		})
	case "panes": // lines: the end of a window
		return m.lines(d, func(f []string) string {
			var panes []string
			end := m.time(f[0])
			for p := range Panes(m.a, end) {
				panes = append(panes, Format(p))
			}
			return Window{m.a.Start(end), end}.String() + " = panes to " + strings.Join(panes, " ")
		})
	case "late": // late [grace=]; lines: <end> <watermark>
		return m.lines(d, func(f []string) string {
			return fmt.Sprint(Late(m.time(f[0]), m.time(f[1]), m.arg(d, "grace")))
		})
	case "watermark": // watermark out-of-orderness=
		m.p = NewWatermark(m.arg(d, "out-of-orderness"))
		return m.lines(d, m.watermark)
	case "vector": // vector n=
		var n int
		d.ScanArgs(t, "n", &n)
		m.v = NewVector(n)
		return m.lines(d, m.vector)
	}
	t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return ""
}

// row answers: the windows that hold the row, and its pane.
func (m *manual) row(f []string) string {
	at := m.time(f[0])
	var in []string
	for end := range Ends(m.a, at) {
		in = append(in, m.window(end))
	}
	return "pane to " + m.format(m.a.PaneEnd(at)) + ", in " + strings.Join(in, " ")
}

func (m *manual) watermark(f []string) string {
	switch f[0] {
	case "row":
		before := m.p.Observe(m.time(f[1]))
		return fmt.Sprintf("origin %s, then %s", Format(before), Format(m.p.Value()))
	case "advance":
		m.p.Advance(m.time(f[1]))
	case "restore":
		m.p.Restore(m.time(f[1]))
	default:
		m.t.Fatalf("unknown line %q", f)
	}
	return Format(m.p.Value())
}

func (m *manual) vector(f []string) string {
	switch f[0] {
	case "stamp": // stamp <task> of <n> <watermark> [idle [holds|drains]]
		idle, holds := len(f) > 5 && f[5] == "idle", None
		if len(f) > 6 {
			holds = map[string]Holding{"holds": Held, "drains": Draining}[f[6]]
		}
		if err := m.v.Stamp(m.number(f[1]), m.number(f[3]), m.time(f[4]), idle, holds); err != nil {
			return "error: " + err.Error()
		}
	case "recall": // a round through the encoding
		v, rest, err := DecodeVector(append(m.v.Append(nil), "rest"...))
		if err != nil || string(rest) != "rest" {
			m.t.Fatalf("decode: rest %q, %v", rest, err)
		}
		m.v = v
	default:
		m.t.Fatalf("unknown line %q", f)
	}
	s := Format(m.v.Value())
	if !m.v.Heard() {
		s += " (not all heard)"
	}
	if m.v.Idle() {
		s += " (idle)"
	}
	if m.v.Holds() {
		s += " (holds)"
	}
	return s
}

// lines answers each line of the input with a line; # starts a comment.
func (m *manual) lines(d *datadriven.TestData, answer func(fields []string) string) string {
	var b strings.Builder
	for line := range strings.Lines(d.Input) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", strings.Join(f, " "), answer(f))
	}
	return b.String()
}

func (m *manual) spec(d *datadriven.TestData) Spec {
	s := Spec{
		Offset: m.arg(d, "offset"), Grace: m.arg(d, "grace"), Gap: m.arg(d, "gap"),
	}
	s.Size, s.SizeUnit = m.civil(d, "size")
	s.Advance, s.AdvanceUnit = m.civil(d, "advance")
	s.Step, s.StepUnit = m.civil(d, "step")
	d.MaybeScanArgs(m.t, "zone", &s.Zone)
	d.MaybeScanArgs(m.t, "mode", &s.Mode)
	if d.HasArg("rows") {
		d.ScanArgs(m.t, "rows", &s.Count)
	}
	m.loc = nil
	if s.Zone != "" {
		m.loc, _ = time.LoadLocation(s.Zone)
	}
	if len(d.CmdArgs) > 0 && len(d.CmdArgs[0].Vals) == 0 {
		s.Kind = d.CmdArgs[0].Key
	}
	return s
}

func (m *manual) arg(d *datadriven.TestData, key string) int64 {
	var v string
	if !d.MaybeScanArgs(m.t, key, &v) {
		return 0
	}
	return m.time(v)
}

// time reads 5s, -1ms, 1h30m, min, max, max-1ms.
func (m *manual) time(s string) int64 {
	m.t.Helper()
	if m.loc != nil {
		if t, err := time.Parse("2006-01-02T15:04-07", s); err == nil {
			return t.UnixMilli()
		}
	}
	base := int64(0)
	for name, end := range map[string]int64{"min": MinTime, "max": MaxTime} {
		if rest, ok := strings.CutPrefix(s, name); ok {
			base, s = end, rest
		}
	}
	if s == "" {
		return base
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		m.t.Fatal(err)
	}
	return base + d.Milliseconds()
}

func (m *manual) number(s string) int {
	var n int
	if _, err := fmt.Sscan(s, &n); err != nil {
		m.t.Fatal(err)
	}
	return n
}
