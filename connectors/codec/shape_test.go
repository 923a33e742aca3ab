package codec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// decodeMany decodes records of n in batches of 100 with d and checks that all
// are good.
func decodeMany(t *testing.T, d *jsonDecoder, n int, record func(i int) string) {
	t.Helper()
	for i := 0; i < n; i += 100 {
		b := &engine.Batch{Src: &engine.Rows{}}
		for k := range 100 {
			b.Src.Values = append(b.Src.Values, []byte(record(i+k)))
		}
		if err := d.Decode(b, func(row int32, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
}

func newJSON(t *testing.T, schema *engine.Schema) *jsonDecoder {
	t.Helper()
	newDecoder, err := JSON(schema, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return newDecoder().(*jsonDecoder)
}

// learned counts the edges and states that n and what is inside it have.
func learned(n *node) (edges, states int) {
	all := append([]*state{n.start, n.other}, n.leaves...)
	for _, s := range n.others {
		all = append(all, s)
	}
	for _, s := range all {
		edges += len(s.edges)
		if s.of != nil {
			e, k := learned(s.of)
			edges, states = edges+e, states+k
		}
	}
	return edges, states + len(all)
}

// A steady shape is learned once: an edge per value and one for the end.
func TestShapeIsLearnedOnce(t *testing.T) {
	d := newJSON(t, readingSchema)
	values := readings(1000)
	decodeMany(t, d, 1000, func(i int) string { return string(values[i]) })
	if edges, _ := learned(d.root); edges != 13 {
		t.Errorf("%d edges", edges)
	}
}

// Optional fields cost an edge each, not a shape for each combination.
func TestShapeOfOptionalFields(t *testing.T) {
	d := newJSON(t, readingSchema)
	decodeMany(t, d, 5000, func(i int) string {
		var sb strings.Builder
		sb.WriteString(`{"sensor_id":"x"`)
		for k := range 10 {
			if i>>k&1 == 1 {
				fmt.Fprintf(&sb, `,"f%d":%d`, k, i)
			}
		}
		return sb.String() + "}"
	})
	if edges, _ := learned(d.root); edges > 11*maxEdges {
		t.Errorf("%d edges", edges)
	}
}

// An object that was null at first is still entered when it comes: the longer
// text is tried before the one it begins with.
func TestShapeTriesTheLongerTextFirst(t *testing.T) {
	d := newJSON(t, engine.NewSchema(engine.Field{Name: "id", Type: engine.Int}, engine.Field{Name: "loc.lat", Type: engine.Double}))
	decodeMany(t, d, 100, func(i int) string { return []string{`{"id":1,"loc":null}`, `{"id":1,"loc":{"lat":1}}`}[i%2] })
	var texts []string
	for _, e := range d.root.leaves[0].edges {
		texts = append(texts, e.text)
	}
	if got, want := strings.Join(texts, " "), `,"loc":{"lat": ,"loc":`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Keys that are data do not make a decoder grow, and an object of them is soon
// skipped as a whole.
func TestShapeOfEndlessKeys(t *testing.T) {
	for name, record := range map[string]func(i int) string{
		"in the record":  func(i int) string { return fmt.Sprintf(`{"k%d":1,"sensor_id":"x","l%d":{"m%d":2}}`, i, i, i) },
		"in an object":   func(i int) string { return fmt.Sprintf(`{"by_id":{"k%d":1,"l%d":2},"sensor_id":"x"}`, i, i) },
		"in white space": func(i int) string { return `{"sensor_id":` + strings.Repeat(" ", i%200) + `"x" }` },
		"long":           func(i int) string { return fmt.Sprintf(`{"%s%d":1}`, strings.Repeat("k", 2*maxText), i) },
	} {
		d := newJSON(t, readingSchema)
		decodeMany(t, d, 20_000, record)
		edges, states := learned(d.root)
		if states > 3*maxOthers+50 || edges > states*maxEdges {
			t.Errorf("%s: %d edges, %d states", name, edges, states)
		}
		if by := d.root.others["by_id"]; name == "in an object" && (!by.whole || strings.Contains(d.root.start.likely.text, `"k`) || len(d.root.start.edges) != 1) {
			t.Errorf("%s: is not skipped as a whole, but entered with %q", name, d.root.start.likely.text)
		}
	}
}

// Once the shape is known, a record costs no allocation: neither plain ones nor
// those with missing and null fields.
func TestDecodeAllocatesNothing(t *testing.T) {
	for name, record := range map[string]func(i int) string{
		"plain": func(i int) string { return string(readings(i + 1)[i]) },
		"optional": func(i int) string {
			return []string{`{"sensor_id":"a","temp":1.25}`, `{"sensor_id":null,"x":{"y":[1]}}`}[i%2]
		},
		"nested": func(i int) string { return fmt.Sprintf(`{"loc":{"lat":%d.5,"lon":-3e2},"ts":17%d}`, i, i) },
		"times":  func(i int) string { return fmt.Sprintf(`{"ts":"2026-01-01T00:00:%02dZ"}`, i%60) },
	} {
		schema := engine.NewSchema(append([]engine.Field{{Name: "loc.lat", Type: engine.Double}, {Name: "loc.lon", Type: engine.Double}}, readingSchema.Fields...)...)
		d := newJSON(t, schema)
		b := &engine.Batch{Src: &engine.Rows{}}
		for i := range 100 {
			b.Src.Values = append(b.Src.Values, []byte(record(i)))
		}
		bad := func(row int32, err error) error { return err }
		if n := testing.AllocsPerRun(50, func() {
			if err := d.Decode(b, bad); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per 100 records", name, n)
		}
	}
}

// Strings without escapes are sub-slices of the value.
func TestStringsAreNotCopied(t *testing.T) {
	value := []byte(`{"sensor_id":"abc","status":"long enough to be read in words","temp":1}`)
	d := newJSON(t, readingSchema)
	b := &engine.Batch{Src: &engine.Rows{Values: [][]byte{value, value}}}
	if err := d.Decode(b, func(row int32, err error) error { return err }); err != nil {
		t.Fatal(err)
	}
	copy(value[14:], "xyz")
	copy(value[29:], "LONG")
	for i := range int32(2) {
		if id, status := b.Col("sensor_id").Strs[i], b.Col("status").Strs[i]; id != "xyz" || status != "LONG enough to be read in words" {
			t.Errorf("row %d: %q %q", i, id, status)
		}
	}
}

// A batch's columns are used again: nothing of a former batch shows through.
func TestDecodeAgain(t *testing.T) {
	d := newJSON(t, everything)
	b := &engine.Batch{}
	for range 3 {
		for _, values := range [][][]byte{{usual, []byte("{}"), spaced, []byte(`{"n":"x"}`)}, {[]byte("{}"), usual}, {}, {spaced, usual, usual, []byte(`{"t":1,"t":null}`), []byte(`{"n":7,"t":1.5,"id":7}`)}} {
			b.Src = &engine.Rows{Values: values}
			errs := map[int32]bool{}
			if err := d.Decode(b, func(row int32, err error) error { errs[row] = true; return nil }); err != nil {
				t.Fatal(err)
			}
			for i := range errs {
				if b.Cols[1].Ints[i] != 0 || b.Cols[2].Doubles[i] != 0 || b.Cols[1].Null(i) {
					t.Errorf("row %d is bad and not empty", i)
				}
			}
			for _, i := range b.Sel {
				want, err := oracle(everything, values[i])
				if got := rowOf(b, i); err != nil || errs[i] || !sameRow(got, want) {
					t.Errorf("%s:\n got %v\nwant %v, %v", values[i], got, want, err)
				}
			}
			if len(b.Sel)+len(errs) != len(values) || b.N != len(values) || b.Schema != everything {
				t.Errorf("%d selected, %d bad, N %d", len(b.Sel), len(errs), b.N)
			}
		}
	}
}
