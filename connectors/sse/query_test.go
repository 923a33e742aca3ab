package sse

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/leatstream/leat/engine"
)

// asked is a hub whose views were filled by hand: queries need no frames.
func asked(t *testing.T, o Options, specs ...engine.ViewSpec) (*Hub, http.Handler) {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return time.UnixMilli(1_000_000) }
	}
	h := NewHub(o)
	for _, s := range specs {
		h.Add(s, nil, "")
		v := h.view(s.Name)
		v.identify("id", 1)
		v.setEnds(nil)
	}
	return h, h.Handler()
}

// fill puts records into a view: key, value, key, value…; "" is a tombstone.
func (h *Hub) fill(view string, kv ...string) {
	v := h.view(view)
	r := &engine.Rows{}
	for i := 0; i < len(kv); i += 2 {
		r.Keys = append(r.Keys, []byte(kv[i]))
		var value []byte
		if kv[i+1] != "" {
			value = []byte(kv[i+1])
		}
		r.Values = append(r.Values, value)
		r.Offsets = append(r.Offsets, v.table.pos[0]+int64(i/2))
		r.Times = append(r.Times, v.now().UnixMilli())
	}
	_ = v.apply([]*engine.Rows{r}, nil)
}

func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestQueries is the manual of the read side:
//
//	view NAME [key=a,b] [windowed] [stream] columns=name:type,…     a view
//	put VIEW   lines of: record key<TAB>row                        its rows
//	get PATH                                                       an answer
func TestQueries(t *testing.T) {
	var h *Hub
	var handler http.Handler
	datadriven.RunTest(t, "testdata/query", func(t *testing.T, d *datadriven.TestData) string {
		switch d.Cmd {
		case "views":
			var specs []engine.ViewSpec
			for line := range strings.Lines(d.Input) {
				words := strings.Fields(line)
				p, s, _ := strings.Cut(words[0], "/")
				spec := engine.ViewSpec{Name: words[0], Pipeline: p, Sink: s, Tasks: 1, Generation: 1}
				for _, w := range words[1:] {
					name, value, _ := strings.Cut(w, "=")
					switch name {
					case "key":
						spec.KeyColumns = strings.Split(value, ",")
					case "windowed":
						spec.Windowed = true
					case "stream":
						spec.Stream = true
					case "columns":
						for c := range strings.SplitSeq(value, ",") {
							n, typ, _ := strings.Cut(c, ":")
							spec.Columns = append(spec.Columns, engine.ViewColumn{Name: n, Type: typ})
						}
					}
				}
				specs = append(specs, spec)
			}
			h, handler = asked(t, Options{Compile: func(_ engine.ViewSpec, where string, _ map[string]any) (func([]byte) bool, error) {
				if !strings.HasPrefix(where, "has ") {
					return nil, fmt.Errorf("this test only knows: has TEXT")
				}
				return func(row []byte) bool { return strings.Contains(string(row), where[4:]) }, nil
			}}, specs...)
			return ""
		case "put":
			for line := range strings.Lines(d.Input) {
				key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
				h.fill(d.CmdArgs[0].Key, key, value)
			}
			return ""
		case "get":
			q := ""
			for line := range strings.Lines(d.Input) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				q += "&" + name + "=" + url.QueryEscape(value)
			}
			w := get(handler, "/v1/views/"+d.CmdArgs[0].Key+"?"+strings.TrimPrefix(q, "&"))
			return shown(t, w)
		}
		t.Fatalf("unknown command %s", d.Cmd)
		return ""
	})
}

// shown is an answer as the manual shows it: rows a line each.
func shown(t *testing.T, w *httptest.ResponseRecorder) string {
	body := w.Body.String()
	var rows struct {
		Rows []json.RawMessage `json:"rows"`
		Next string            `json:"next"`
	}
	if w.Code != 200 {
		return fmt.Sprintf("%d %s", w.Code, body)
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
		return strings.ReplaceAll(body, "\r\n", "|\n")
	}
	if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var b strings.Builder
	for _, r := range rows.Rows {
		fmt.Fprintf(&b, "%s\n", r)
	}
	if rows.Next != "" {
		b.WriteString("and more\n")
	}
	return b.String()
}

// Pages read one after the other show every row that stays exactly once, in
// the order asked for, whatever happens to the others meanwhile.
func TestPagesWhileRowsChange(t *testing.T) {
	seed := replaySeed(t)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	spec := boardSpec(1)
	for range 60 {
		h, handler := asked(t, Options{}, spec)
		stay := map[string]bool{}
		for i := range 40 + rnd.IntN(60) {
			key := fmt.Sprintf("k%d", i)
			h.fill(spec.Name, key, fmt.Sprintf(`{"country":%q,"n":%d}`, key, rnd.IntN(8)))
			stay[key] = true
		}
		path := fmt.Sprintf("/v1/views/orders/board?limit=%d&order=%s", 1+rnd.IntN(20), []string{"n", "-n", "country", "-country", "_key", "-_key"}[rnd.IntN(6)])
		var got []string
		for next := ""; ; {
			w := get(handler, path+next)
			var page struct {
				Rows []struct {
					Key string `json:"_key"`
				} `json:"rows"`
				Next string `json:"next"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != 200 {
				t.Fatalf("%d %v %s", w.Code, err, w.Body)
			}
			for _, r := range page.Rows {
				got = append(got, r.Key)
			}
			if page.Next == "" {
				break
			}
			next = "&next=" + page.Next
			if link := w.Header().Get("Link"); !strings.Contains(link, page.Next) {
				t.Fatalf("Link %q does not name the next page", link)
			}
			for range rnd.IntN(4) {
				key := fmt.Sprintf("k%d", rnd.IntN(100))
				delete(stay, key)
				value := fmt.Sprintf(`{"country":%q,"n":%d}`, key, rnd.IntN(8))
				if rnd.IntN(2) == 0 {
					value = ""
				}
				h.fill(spec.Name, key, value)
			}
		}
		for key := range stay {
			if n := len(slices.DeleteFunc(slices.Clone(got), func(k string) bool { return k != key })); n != 1 {
				t.Fatalf("%s: row %s stood on %d pages", path, key, n)
			}
		}
	}
}

func TestETagStandsForTheRows(t *testing.T) {
	spec := boardSpec(1)
	h, handler := asked(t, Options{}, spec)
	h.fill(spec.Name, "DE", `{"country":"DE","n":1}`)
	const path = "/v1/views/orders/board"
	tag := get(handler, path).Header().Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) {
		t.Fatalf("ETag %q", tag)
	}
	if w := get(handler, path, "If-None-Match", `"x", `+tag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("nothing has changed: %d %s", w.Code, w.Body)
	}
	for _, other := range []string{path + "?limit=1", path + "?format=csv", path + "?order=n", path + "?key=DE"} {
		if w := get(handler, other, "If-None-Match", tag); w.Code != 200 {
			t.Errorf("%s: the tag of another query gave %d", other, w.Code)
		}
	}
	h.fill(spec.Name, "\x00mark/0", `{"watermark":1,"at":1000000}`)
	if w := get(handler, path, "If-None-Match", tag); w.Code != 304 {
		t.Errorf("a mark is no row: %d", w.Code)
	}
	h.fill(spec.Name, "DE", `{"country":"DE","n":2}`)
	if w := get(handler, path, "If-None-Match", tag); w.Code != 200 {
		t.Errorf("a row has changed: %d", w.Code)
	}
	// Another node has versions of its own.
	other, otherHandler := asked(t, Options{}, spec)
	other.fill(spec.Name, "FR", `{"country":"FR","n":1}`)
	if w := get(otherHandler, path, "If-None-Match", tag); w.Code != 200 {
		t.Errorf("another node took the tag for its own: %d", w.Code)
	}
}

// A whole key is looked up: no scan, whatever the size of the table.
func TestWholeKeysAreLookedUp(t *testing.T) {
	single := engine.ViewSpec{KeyColumns: []string{"c"}, Columns: []engine.ViewColumn{{Name: "c", Type: "string"}}}
	double := engine.ViewSpec{KeyColumns: []string{"c", "window_end"}, Windowed: true, Columns: []engine.ViewColumn{{Name: "c", Type: "string"}, {Name: "window_end", Type: "timestamp"}}}
	bytes := engine.ViewSpec{KeyColumns: []string{"c"}, Columns: []engine.ViewColumn{{Name: "c", Type: "bytes"}}}
	for _, c := range []struct {
		spec engine.ViewSpec
		keys []string
		want []string
	}{
		{single, []string{"a"}, []string{"a"}},
		{single, []string{"c:a", "c:b"}, []string{"a", "b"}},
		{single, []string{"\x00mark/0"}, []string{"\x00=\x00mark/0"}},
		{single, nil, nil},
		{double, []string{"a"}, nil},
		{double, []string{`a"`, "window_end:5", "window_end:7"}, []string{`{"c":"a\"","window_end":5}`, `{"c":"a\"","window_end":7}`}},
		{bytes, []string{"c:" + base64.StdEncoding.EncodeToString([]byte{0xff})}, []string{"\xff"}},
	} {
		f, err := parseFilter(c.spec, c.keys)
		if err != nil {
			t.Fatal(err)
		}
		if got := recordKeys(c.spec, f); !slices.Equal(got, c.want) {
			t.Errorf("key=%q: %q, want %q", c.keys, got, c.want)
		}
	}
}

// What recordKeys looks up is what the sink writes.
func TestLookedUpKeysAreTheSinks(t *testing.T) {
	schema := &engine.Schema{Fields: []engine.Field{{Name: "s", Type: engine.String}, {Name: "i", Type: engine.Int}, {Name: "d", Type: engine.Double}, {Name: "b", Type: engine.Bool}}}
	b := &engine.Batch{Schema: schema, N: 1, Sel: []int32{0}, Cols: []engine.Column{
		{Type: engine.String, Strs: []string{"q\"\n"}}, {Type: engine.Int, Ints: []int64{-1 << 60}}, {Type: engine.Double, Doubles: []float64{1.5}}, {Type: engine.Bool, Bools: []bool{true}}}}
	spec := engine.ViewSpec{}
	var params []string
	for i, f := range schema.Fields {
		spec.KeyColumns = append(spec.KeyColumns, f.Name)
		spec.Columns = append(spec.Columns, engine.ViewColumn{Name: f.Name, Type: f.Type.String()})
		params = append(params, f.Name+":"+text(appendValue(nil, &b.Cols[i], 0)))
	}
	want, _ := engine.AppendKey(nil, b, []int{0, 1, 2, 3}, 0)
	f, err := parseFilter(spec, params)
	if err != nil {
		t.Fatal(err)
	}
	if got := recordKeys(spec, f); len(got) != 1 || got[0] != string(want) {
		t.Errorf("looked up %q, the sink writes %q", got, want)
	}
}

// Under a right an answer says nothing of other rows: not how many there are,
// nor that they have changed.
func TestQueryUnderARight(t *testing.T) {
	spec := boardSpec(1)
	h, handler := asked(t, Options{Gate: onlyMine{}, Compile: func(engine.ViewSpec, string, map[string]any) (func([]byte) bool, error) {
		return func(row []byte) bool { return strings.Contains(string(row), `"n":1`) }, nil
	}}, spec)
	h.fill(spec.Name, "DE", `{"country":"DE","n":1}`, "FR", `{"country":"FR","n":2}`)
	before := get(handler, "/v1/views/orders/board")
	h.fill(spec.Name, "FR", `{"country":"FR","n":3}`, "IT", `{"country":"IT","n":4}`)
	after := get(handler, "/v1/views/orders/board")
	if before.Body.String() != after.Body.String() || before.Header().Get("ETag") != "" || !strings.Contains(after.Body.String(), `"row_count":1`) {
		t.Errorf("%v\n%s\n%s", before.Header(), before.Body, after.Body)
	}
	for _, path := range []string{"?key=FR", "?prefix=F", "?format=csv&key=FR"} {
		if w := get(handler, "/v1/views/orders/board"+path); strings.Contains(w.Body.String(), "FR") {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
}

// onlyMine is a gate with a row filter.
type onlyMine struct{ open }

func (onlyMine) View(*Viewer, string) (string, bool) { return "mine", true }

func TestAcceptChoosesCSV(t *testing.T) {
	for accept, csv := range map[string]bool{
		"": false, "*/*": false, "text/csv": true, "application/json, text/csv;q=0.5": false, "text/csv, application/json;q=0.9": true,
	} {
		if got := prefersCSV([]string{accept}); got != csv {
			t.Errorf("Accept: %s: csv %v", accept, got)
		}
	}
}

func BenchmarkQuery(b *testing.B) {
	if os.Getenv("BENCH_QUERY") == "" {
		b.Skip("BENCH_QUERY is not set")
	}
	h := NewHub(Options{})
	spec := boardSpec(1)
	h.Add(spec, nil, "")
	v := h.view(spec.Name)
	v.identify("id", 1)
	v.setEnds(nil)
	for i := range 1_000_000 {
		h.fill(spec.Name, fmt.Sprint("k", i), fmt.Sprintf(`{"country":"k%d","n":%d}`, i, i%1000))
	}
	handler := h.Handler()
	for _, path := range []string{"?key=k77777", "?limit=100", "?order=-n&limit=100", "?prefix=k777"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				get(handler, "/v1/views/orders/board"+path)
			}
		})
	}
}
