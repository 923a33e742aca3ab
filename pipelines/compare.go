package pipelines

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// wanted is an expected row, ready to compare.
type wanted struct {
	node    *node
	row     map[string]any
	deleted bool
	headers []engine.Header
}

// matches compares the columns named.
func (w wanted) matches(g Result) bool {
	row, deleted := g.row()
	if deleted != w.deleted || !hasHeaders(g, w.headers) {
		return false
	}
	for column, v := range w.row {
		if got, there := w.column(g, row, column); (!there && v != nil) || !equal(v, got) {
			return false
		}
	}
	return true
}

// column is what a result has where a column is expected.
func (w wanted) column(g Result, row map[string]any, column string) (v any, there bool) {
	v, there = lookColumn(row, column)
	if !there && w.deleted && len(w.row) == 1 {
		if key, text := w.row[column].(json.Number); text {
			if got, ok := decode(g.Key).(json.Number); ok && equalNumbers(key, got) {
				return got, true
			}
		}
		return string(g.Key), true // a key of one column is its text
	}
	return v, there
}

func hasHeaders(g Result, want []engine.Header) bool {
	for _, h := range want {
		if header(g, h.Key) != string(h.Value) {
			return false
		}
	}
	return true
}

func header(r Result, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// lookColumn finds a column of a result: geo.city is city inside geo.
func lookColumn(row map[string]any, path string) (v any, there bool) {
	if v, there = row[path]; there {
		return v, true
	}
	head, rest, nested := strings.Cut(path, ".")
	inside, ok := row[head].(map[string]any)
	if !nested || !ok {
		return nil, false
	}
	return lookColumn(inside, rest)
}

// row is the result as a JSON object; of a delete, its key.
func (g Result) row() (row map[string]any, deleted bool) {
	data := g.Value
	if data == nil {
		data, deleted = g.Key, true
	}
	row, _ = decode(data).(map[string]any)
	if !deleted && row["deleted"] == true && row["key"] != nil { // stdout's form
		key, columns := row["key"].(map[string]any)
		if !columns {
			key = map[string]any{"key": row["key"]}
		}
		return key, true
	}
	return row, deleted
}

func decode(data []byte) any {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// equal compares JSON values; doubles within 1e-9, and texts with numbers
// where a sink writes timestamps or large ints as text.
func equal(want, got any) bool {
	switch w := want.(type) {
	case json.Number:
		switch g := got.(type) {
		case json.Number:
			return equalNumbers(w, g)
		case string:
			if t, err := time.Parse(time.RFC3339Nano, g); err == nil {
				return w.String() == strconv.FormatInt(t.UnixMilli(), 10)
			}
			return equalNumbers(w, json.Number(g))
		}
		return false
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !equal(w[i], g[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if v, there := g[k]; !there || !equal(w[k], v) {
				return false
			}
		}
		return true
	}
	return want == got
}

func equalNumbers(a, b json.Number) bool {
	if a == b {
		return true
	}
	if i, err := a.Int64(); err == nil {
		if j, err := b.Int64(); err == nil {
			return i == j
		}
	}
	x, err := a.Float64()
	if err != nil {
		return false
	}
	y, err := b.Float64()
	const tolerance = 1e-9
	return err == nil && math.Abs(x-y) <= tolerance*max(1, math.Abs(x), math.Abs(y))
}
