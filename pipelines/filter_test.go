package pipelines

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/engine"
)

// TestFilter is the manual of filters of views: testdata/filter has a view's
// columns, expressions, claims, and which rows are kept.
//
//	view [windowed] [stream]     name: type, a line each
//	rows                         a JSON object on each line
//	filter [claims={…}]          the expression; shows the rows kept, by number
func TestFilter(t *testing.T) {
	var view engine.ViewSpec
	var rows []string
	datadriven.RunTest(t, "testdata/filter", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "view":
			view = engine.ViewSpec{Name: "p/s", Windowed: d.HasArg("windowed"), Stream: d.HasArg("stream")}
			for line := range strings.Lines(d.Input) {
				name, kind, _ := strings.Cut(strings.TrimSpace(line), ": ")
				view.Columns = append(view.Columns, engine.ViewColumn{Name: name, Type: kind})
			}
			return ""
		case "rows":
			rows = strings.Split(d.Input, "\n")
			return ""
		case "filter":
			where, text, with := strings.Cut(d.Input, "\nclaims ")
			var claims map[string]any
			if with {
				if err := json.Unmarshal([]byte(text), &claims); err != nil {
					d.Fatalf(t, "claims: %v", err)
				}
			}
			keep, err := CompileFilter(view, where, claims)
			if err != nil {
				return "error: " + err.Error() + "\n"
			}
			var kept []string
			for i, r := range rows {
				if keep([]byte(r)) {
					kept = append(kept, fmt.Sprint(i+1))
				}
			}
			return strings.Join(append([]string{"keeps"}, kept...), " ") + "\n"
		}
		d.Fatalf(t, "no command %q", d.Cmd)
		return ""
	})
}

// A filter is shared by the goroutines of many clients.
func TestFilterFromManyGoroutines(t *testing.T) {
	view := engine.ViewSpec{Columns: []engine.ViewColumn{{Name: "n", Type: "int"}, {Name: "s", Type: "string"}}}
	keep, err := CompileFilter(view, `n % 2 == 0 and s + "!" == claims.word`, map[string]any{"word": "x!"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				n := g + i
				if got := keep(fmt.Appendf(nil, `{"n":%d,"s":"x"}`, n)); got != (n%2 == 0) {
					t.Errorf("n %d: kept %v", n, got)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzFilterRows(f *testing.F) {
	view := engine.ViewSpec{Columns: []engine.ViewColumn{{Name: "n", Type: "int"}, {Name: "s", Type: "string"}, {Name: "b", Type: "bytes"}, {Name: "a", Type: "any"}}}
	keep, err := CompileFilter(view, `n > 1 or s == "x" or a.b == 1 or b == b"y"`, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, row := range []string{`{"n":1,"s":"x"}`, `{`, `{"n"`, `{"n":`, `{"n":"9007199254740993","a":{"b":[1,"]"]}}`, `{"\u006e":2}`, ` { "b" : "!" } `, `[]`, `{"n":1,}`} {
		f.Add([]byte(row))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		kept := keep(row)
		var o map[string]any
		if json.Unmarshal(row, &o) == nil && kept != keep(row) {
			t.Error("not the same twice")
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	view := engine.ViewSpec{Columns: []engine.ViewColumn{{Name: "country", Type: "string"}, {Name: "n", Type: "int"}}}
	row := []byte(`{"country":"FR","orders":12,"revenue":12345.67,"n":12,"window_start":1700000000000,"window_end":1700000060000,"final":true}`)
	for name, where := range map[string]string{"columns": `country == "FR" and n > 10`, "claims": `country in claims.countries and n > 10`} {
		b.Run(name, func(b *testing.B) {
			keep, err := CompileFilter(view, where, map[string]any{"countries": []string{"DE", "FR"}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if !keep(row) {
					b.Fatal("not kept")
				}
			}
		})
	}
}
