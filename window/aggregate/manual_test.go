package aggregate_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/window/aggregate"
)

// TestManual runs the text files, one per aggregate. A command is the
// aggregate, the types of its arguments and its constants, as q=0.9. Each line
// of its input is a pane of rows; panes are merged in order. Several arguments
// of a row stand as a|b, its event time as a@ms. A line `take` takes rows back,
// `unmerge` a pane, and `again` merges a pane twice. The answer is the result,
// after the rows that went wrong.
func TestManual(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return answer(t, d)
		})
	})
}

func answer(t *testing.T, d *datadriven.TestData) string {
	kind, ok := aggregate.Lookup(d.Cmd)
	if !ok {
		t.Fatalf("%s: no aggregate %s", d.Pos, d.Cmd)
	}
	var types []aggregate.Type
	var params []aggregate.Value
	for _, arg := range d.CmdArgs {
		if len(arg.Vals) == 0 {
			types = append(types, parseType(t, arg.Key))
			continue
		}
		f, err := strconv.ParseFloat(arg.Vals[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		params = append(params, aggregate.Value{Int: int64(f), Double: f})
	}
	agg, err := kind.New(types, params)
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var b strings.Builder
	h := newHeap(t)
	total := make([]uint64, agg.Words())
	for line := range strings.Lines(d.Input) {
		line, _, _ = strings.Cut(line, "#")
		rows := strings.Fields(line)
		verb := ""
		if len(rows) > 0 && (rows[0] == "take" || rows[0] == "unmerge" || rows[0] == "again") {
			verb, rows = rows[0], rows[1:]
		}
		report := func(what string, err error) {
			if err != nil {
				fmt.Fprintf(&b, "%s: %v\n", what, err)
			}
		}
		columns := types
		if kind.Time {
			columns = append(slices.Clone(types), aggregate.Timestamp)
		}
		args := parseArgs(t, columns, rows)
		if verb == "take" {
			for i, row := range rows {
				report("take "+row, agg.(aggregate.Subtracter).Subtract(total, args, int32(i), h))
			}
			continue
		}
		pane := make([]uint64, agg.Words())
		for i, row := range rows {
			report(row, agg.Add(pane, args, int32(i), h))
		}
		if verb == "unmerge" {
			report("unmerge", agg.(aggregate.Unmerger).Unmerge(total, pane, h))
			continue
		}
		report("merge", agg.Merge(total, pane, h))
		if verb == "again" {
			report("merge", agg.Merge(total, pane, h))
		}
	}
	return b.String() + result(agg, total, h) + "\n"
}

func parseType(t *testing.T, name string) aggregate.Type {
	for typ := aggregate.String; typ <= aggregate.Any; typ++ {
		if typ.String() == name {
			return typ
		}
	}
	t.Fatalf("no type %q", name)
	return 0
}

// parseArgs makes the columns of arguments, or none.
func parseArgs(t *testing.T, types []aggregate.Type, rows []string) []aggregate.Column {
	var args []aggregate.Column
	for k, typ := range types {
		values := make([]any, len(rows))
		for i, row := range rows {
			texts := []string{row}
			if len(types) > 1 {
				texts = strings.FieldsFunc(row, func(r rune) bool { return r == '|' || r == '@' })
			}
			if len(texts) != len(types) {
				t.Fatalf("row %q has %d values, not %d", row, len(texts), len(types))
			}
			if texts[k] != "null" {
				values[i] = parse(t, typ, texts[k])
			}
		}
		args = append(args, column(typ, values))
	}
	return args
}

func parse(t *testing.T, typ aggregate.Type, text string) (v any) {
	var err error
	switch typ {
	case aggregate.Int, aggregate.Timestamp:
		v, err = strconv.ParseInt(text, 10, 64)
	case aggregate.Double:
		v, err = strconv.ParseFloat(text, 64)
	case aggregate.Bool:
		v, err = strconv.ParseBool(text)
	default:
		v = text
		if text[0] == '"' && typ == aggregate.String {
			v, err = strconv.Unquote(text)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// column makes a column of values; nil is null.
func column(typ aggregate.Type, values []any) aggregate.Column {
	c := empty(typ, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case nil:
			c.SetNull(int32(i))
		case int64:
			c.Ints[i] = v
		case float64:
			c.Doubles[i] = v
		case bool:
			c.Bools[i] = v
		case string:
			c.Strs[i] = v
		}
	}
	return c
}

func empty(typ aggregate.Type, n int) aggregate.Column {
	c := aggregate.Column{Type: typ}
	switch typ {
	case aggregate.Int, aggregate.Timestamp:
		c.Ints = make([]int64, n)
	case aggregate.Double:
		c.Doubles = make([]float64, n)
	case aggregate.Bool:
		c.Bools = make([]bool, n)
	default:
		c.Strs = make([]string, n)
	}
	return c
}

// value reads a row of a column back; null is nil.
func value(c *aggregate.Column, row int32) any {
	switch {
	case c.Null(row):
		return nil
	case c.Ints != nil:
		return c.Ints[row]
	case c.Doubles != nil:
		return c.Doubles[row]
	case c.Bools != nil:
		return c.Bools[row]
	}
	return c.Strs[row]
}

// append1 is the result as a Go value. The row it is written into was null.
func append1(agg aggregate.Aggregate, acc []uint64, h aggregate.Heap) any {
	out := empty(agg.Result(), 2)
	out.SetNull(1)
	agg.Append(acc, h, &out, 1)
	return value(&out, 1)
}

func result(agg aggregate.Aggregate, acc []uint64, h aggregate.Heap) string {
	switch v := append1(agg, acc, h).(type) {
	case nil:
		return "null"
	case string:
		if agg.Result() == aggregate.Any {
			return v // JSON
		}
		return strconv.Quote(v)
	default:
		return fmt.Sprint(v)
	}
}

// heap is a Heap that notices the use of what was freed.
type heap struct {
	t     *testing.T
	blobs map[uint64][]byte
	next  uint64
}

func newHeap(t *testing.T) *heap { return &heap{t: t, blobs: map[uint64][]byte{}} }

func (h *heap) Get(ref uint64) []byte {
	b, ok := h.blobs[ref]
	if !ok {
		h.t.Fatalf("get of reference %d, which is not live", ref)
	}
	return b
}

// Put gives no reference to no bytes, as a heap may.
func (h *heap) Put(old uint64, b []byte) uint64 {
	b = slices.Clone(b)
	if old != 0 {
		clear(h.Get(old))
		delete(h.blobs, old)
	}
	if len(b) == 0 {
		return 0
	}
	h.next++
	h.blobs[h.next] = b
	return h.next
}
