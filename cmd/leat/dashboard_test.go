package main

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/pipelines"
)

// Every shipped pipeline with a live view gives a dashboard whose panels ask for
// views and columns that there are.
func TestGrafana(t *testing.T) {
	files, err := filepath.Glob("../../pipelines/examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	for _, file := range append(files, "../../pipelines/demo.yaml") {
		if strings.HasSuffix(file, "_test.yaml") {
			continue
		}
		p, err := one([]string{file}, io.Discard)
		if err != nil {
			continue // several in one file
		}
		_, topo, err := pipelines.Explain(p)
		if err != nil {
			t.Fatal(err)
		}
		b, err := grafanaOf(topo)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Title  string
			Panels []struct {
				ID          int
				Type, Title string
				Targets     []struct {
					URL, Expr string
					Columns   []struct{ Selector, Type string }
				}
			}
		}
		if err := json.Unmarshal(b, &board); err != nil || board.Title != topo.Title() {
			t.Fatalf("%s: %v, %q", file, err, board.Title)
		}
		views := map[string][]string{}
		for _, v := range topo.Views {
			for _, c := range v.Columns {
				views["/v1/views/"+v.Name] = append(views["/v1/views/"+v.Name], c.Name)
			}
		}
		rows := 0
		for i, panel := range board.Panels {
			if panel.ID != i+1 || panel.Title == "" || len(panel.Targets) != 1 {
				t.Errorf("%s: panel %d: %+v", file, i, panel)
				continue
			}
			target := panel.Targets[0]
			if target.Expr != "" {
				asked["prometheus"]++
				continue
			}
			rows++
			asked[panel.Type]++
			u, err := url.Parse(strings.TrimPrefix(target.URL, "${leat}"))
			if err != nil || views[u.Path] == nil || len(target.Columns) == 0 {
				t.Errorf("%s: panel %q asks %s for %d columns: %v", file, panel.Title, target.URL, len(target.Columns), err)
				continue
			}
			for _, c := range target.Columns {
				if !slices.Contains(views[u.Path], c.Selector) {
					t.Errorf("%s: panel %q wants the column %q of %s", file, panel.Title, c.Selector, u.Path)
				}
			}
		}
		if len(topo.Views) > 0 && rows == 0 {
			t.Errorf("%s: no panel shows rows of its %d views", file, len(topo.Views))
		}
	}
	for _, kind := range []string{"timeseries", "stat", "table", "prometheus"} {
		if asked[kind] == 0 {
			t.Errorf("no shipped dashboard has a %s panel (%v): the test shows nothing of it", kind, asked)
		}
	}
}
