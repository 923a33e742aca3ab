package operators

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/window"
)

// verbs open verbs from the keys of a text file, as the pipelines room does
// from YAML.
var verbs = map[string]func(t testing.TB, r *rig, keys map[string]string){
	"stream_stream": openStreamStream,
	"stream_table":  openStreamTable,
	"table_table":   openTableTable,
	"foreign_key":   openForeignKey,
	"table":         openTable,
	"version":       openVersion,
	"settle":        openSettle,
	"alert": func(t testing.TB, r *rig, keys map[string]string) {
		s := AlertSpec{In: r.in, Key: groupOf(t, keys["key"], r.in)}
		if keys["when"] != "" {
			s.When = compile(t, keys["when"], r.in)
		}
		if keys["resolve"] != "" {
			s.Resolve = compile(t, keys["resolve"], r.in)
		}
		if keys["repeat"] != "" {
			s.Repeat = duration(t, keys["repeat"])
		}
		if keys["after"] != "" {
			s.After = duration(t, keys["after"])
		}
		s.Level = 1
		if i := slices.Index(AlertLevels, keys["priority"]); i >= 0 {
			s.Level = i
		} else if keys["priority"] != "" {
			s.Priority = compile(t, keys["priority"], r.in)
		}
		s.Quiet = quietOf(t, r.in, keys)
		s, err := NewAlert(s)
		if err != nil {
			t.Fatal(err)
		}
		r.stores, r.open = AlertStores("it", s), Alert(s)
	},
	"alert_group": func(t testing.TB, r *rig, keys map[string]string) {
		s := AlertGroupSpec{In: r.in, Wait: duration(t, keys["wait"]), NewEncoder: func() RowAppender { return rowTexts{r.in} }}
		for _, c := range list(keys["by"]) {
			s.By = append(s.By, r.in.Lookup(c))
		}
		s = NewAlertGroup(s)
		r.stores, r.open = AlertGroupStores("it", s), AlertGroup(s)
	},
	"flat_map": func(t testing.TB, r *rig, keys map[string]string) {
		s, err := NewFlatMap(r.in, compileLists(t, keys["unnest"], r.in, keys["lists"]), keys["as"])
		if err != nil {
			t.Fatal(err)
		}
		r.open = FlatMap(s)
	},
	"branch": func(t testing.TB, r *rig, keys map[string]string) {
		var whens []*expr.Program
		for _, c := range list(keys["cases"]) {
			whens = append(whens, compile(t, c, r.in))
		}
		r.ports = true
		r.open = Branch(whens)
	},
	"union": func(t testing.TB, r *rig, keys map[string]string) {
		s := unionOf(t, keys)
		r.ins = []*engine.Schema{r.in, schema(t, keys["and"])}
		r.open = Union(s)
	},
	"dedupe": func(t testing.TB, r *rig, keys map[string]string) {
		s := DedupeSpec{In: r.in, Key: groupOf(t, keys["key"], r.in), Within: duration(t, keys["within"])}
		r.stores, r.open = DedupeStores("it", s), Dedupe(s)
	},
	"upcast": func(t testing.TB, r *rig, keys map[string]string) {
		r.open = Upcast(upcastOf(t, r.in, keys))
	},
	"reduce": func(t testing.TB, r *rig, keys map[string]string) {
		s := reduceOf(t, r.in, keys)
		r.stores, r.open = ReduceStores("it", s), Reduce(s)
	},
	"detect": func(t testing.TB, r *rig, keys map[string]string) {
		s := detectOf(t, r.in, keys)
		r.stores, r.open = DetectStores("it", s), Detect(s)
	},
	"top": func(t testing.TB, r *rig, keys map[string]string) {
		s := topOf(t, r.in, keys)
		r.stores, r.open = TopStores("it", s), Top(s)
	},
}

// groupOf reads columns, or name = expression; separated by ;
func groupOf(t testing.TB, text string, in *engine.Schema) []GroupColumn {
	var columns []GroupColumn
	for _, g := range list(text) {
		name, e, isExpr := strings.Cut(g, " = ")
		c := GroupColumn{Name: name, From: in.Lookup(name)}
		if isExpr {
			c.From, c.Expr = -1, compile(t, e, in)
		} else if c.From < 0 {
			t.Fatalf("no column %q", name)
		}
		columns = append(columns, c)
	}
	return columns
}

func compileLists(t testing.TB, text string, in *engine.Schema, lists string) *expr.Program {
	env := expr.Env{Schema: in, Lists: map[string]engine.Type{}}
	if lists != "" {
		for _, f := range schema(t, lists).Fields {
			env.Lists[f.Name] = f.Type
		}
	}
	p, err := expr.Compile(text, env)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func unionOf(t testing.TB, keys map[string]string) UnionSpec {
	s, err := NewUnion([]string{"left", "right"}, []*engine.Schema{schema(t, keys["in"]), schema(t, keys["and"])}, keys["source_name"])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// upcastOf reads `steps: 1 set a = x, b = y drop c | 2 …`.
func upcastOf(t testing.TB, in *engine.Schema, keys map[string]string) *UpcastSpec {
	s, err := NewUpcast(in, compile(t, keys["version"], in))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range strings.Split(keys["steps"], "|") {
		text, drop, _ := strings.Cut(strings.TrimSpace(text), " drop ")
		from, sets, _ := strings.Cut(text, " set ")
		step := UpcastStep{Drop: strings.Fields(drop)}
		if step.From, err = strconv.ParseInt(strings.TrimSpace(from), 10, 64); err != nil {
			t.Fatal(err)
		}
		for _, set := range list(sets) {
			name, e, _ := strings.Cut(set, " = ")
			step.Set = append(step.Set, UpcastSet{Name: name, Expr: compile(t, e, s.Work)})
		}
		if err := s.AddStep(step); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Done(); err != nil {
		t.Fatal(err)
	}
	return s
}

// reduceOf reads
//
//	state: name type, …       init: name = value; …
//	fold:  [condition] -> set name = expr; … | [condition] -> delete
func reduceOf(t testing.TB, in *engine.Schema, keys map[string]string) ReduceSpec {
	state := schema(t, keys["state"])
	s, err := NewReduce(in, groupOf(t, keys["group"], in), state.Fields)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range list(keys["init"]) {
		name, e, _ := strings.Cut(text, " = ")
		s.Init[state.Lookup(name)] = compile(t, e, s.Env)
	}
	for _, text := range strings.Split(keys["fold"], "|") {
		when, do, _ := strings.Cut(text, "->")
		c := ReduceCase{}
		if when = strings.TrimSpace(when); when != "" {
			c.When = compile(t, when, s.Env)
		}
		if do = strings.TrimSpace(do); do == "delete" {
			c.Delete = true
		} else {
			for _, set := range list(strings.TrimPrefix(do, "set ")) {
				name, e, _ := strings.Cut(set, " = ")
				c.Set = append(c.Set, ReduceSet{Column: state.Lookup(name), Expr: compile(t, e, s.Env)})
			}
		}
		s.Fold = append(s.Fold, c)
	}
	s.ByTime = keys["order"] == "event_time"
	if v := keys["ttl"]; v != "" {
		s.TTL = duration(t, v)
	}
	if v := keys["throttle"]; v != "" {
		s.Throttle = duration(t, v)
	}
	return s
}

// windowOf reads "tumbling size=10s".
func windowOf(t testing.TB, text string) window.Spec {
	var w window.Spec
	for i, f := range strings.Fields(text) {
		name, v, ok := strings.Cut(f, "=")
		if i == 0 {
			w.Kind = name
		} else if ok {
			span := duration(t, v).Milliseconds()
			switch name {
			case "size":
				w.Size = span
			case "advance":
				w.Advance = span
			case "grace":
				w.Grace = span
			}
		}
	}
	return w
}

// topOf reads by, k, order, ties, group, key, window (or same) and input.
func topOf(t testing.TB, in *engine.Schema, keys map[string]string) TopSpec {
	s := TopSpec{In: in, Group: groupOf(t, keys["group"], in), By: compile(t, keys["by"], in), Ascending: keys["order"] == "asc",
		Ties: keys["ties"] == "true", TableInput: keys["input"] == "table", Same: keys["window"] == "same"}
	s.K, _ = strconv.Atoi(keys["k"])
	for _, c := range strings.Fields(keys["key"]) {
		s.Key = append(s.Key, in.Lookup(c))
	}
	if !s.Same {
		s.Window = windowOf(t, keys["window"])
	}
	s, err := NewTop(s)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// detectOf reads
//
//	pattern: a [3 times | absent] [where condition]; b …
//	select:  name = expr; …
func detectOf(t testing.TB, in *engine.Schema, keys map[string]string) *DetectSpec {
	s := NewDetect(in, groupOf(t, keys["group"], in), duration(t, keys["within"]), keys["skip"] == "none")
	for _, text := range list(keys["pattern"]) {
		text, where, ok := strings.Cut(text, " where ")
		f := strings.Fields(text)
		step := DetectStep{As: f[0]}
		switch {
		case len(f) == 2:
			step.Absent = f[1] == "absent"
		case len(f) == 3:
			step.Times, _ = strconv.Atoi(f[1])
		}
		if ok {
			step.Where = compile(t, where, s.Env)
		}
		if err := s.AddStep(step); err != nil {
			t.Fatal(err)
		}
	}
	var columns []DetectColumn
	for _, text := range list(keys["select"]) {
		name, e, _ := strings.Cut(text, " = ")
		columns = append(columns, DetectColumn{name, compile(t, e, s.SelectEnv())})
	}
	if err := s.Done(columns); err != nil {
		t.Fatal(err)
	}
	return s
}

// rowTexts writes rows as JSON objects.
type rowTexts struct{ schema *engine.Schema }

func (r rowTexts) AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error) {
	for c, f := range r.schema.Fields {
		dst = append(dst, "{,"[min(c, 1)])
		dst = append(engine.AppendString(dst, f.Name), ':')
		dst = engine.AppendJSON(dst, &cols[c], row, engine.ValueStyle{})
	}
	return append(dst, '}'), nil
}
