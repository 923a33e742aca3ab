package codec

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/engine"
)

func TestDecode(t *testing.T) {
	for _, file := range []string{"testdata/json.txt", "testdata/value.txt"} {
		datadriven.RunTest(t, file, func(t *testing.T, td *datadriven.TestData) string {
			switch td.Cmd {
			case "decode":
				return decodeCommand(t, td)
			case "nest":
				var depth int
				td.ScanArgs(t, "depth", &depth)
				record := `{"x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
				return decodeLines(t, "json", []engine.Field{{Name: "id", Type: engine.String}}, Options{}, []string{record})
			}
			return "unknown command"
		})
	}
}

func decodeCommand(t *testing.T, td *datadriven.TestData) string {
	format, validate := "json", "full"
	td.MaybeScanArgs(t, "format", &format)
	td.MaybeScanArgs(t, "validate", &validate)
	v, ok := map[string]Validate{"full": Full, "columns": Columns}[validate]
	if !ok {
		t.Fatalf("validate: %s", validate)
	}
	return decodeLines(t, format, fieldsArg(t, td), Options{Validate: v}, strings.Split(td.Input, "\n"))
}

// fieldsArg reads schema=(id string, at timestamp(us)).
func fieldsArg(t *testing.T, td *datadriven.TestData) []engine.Field {
	arg, _ := td.Arg("schema")
	var fields []engine.Field
	for _, column := range arg.Vals {
		name, word, _ := strings.Cut(strings.TrimSpace(column), " ")
		word, unit, _ := strings.Cut(strings.TrimSuffix(word, ")"), "(")
		typ, ok := engine.ParseType(word)
		if !ok {
			t.Fatalf("type %s", word)
		}
		fields = append(fields, engine.Field{Name: name, Type: typ, Unit: map[string]engine.TimeUnit{"s": engine.Seconds, "us": engine.Micros, "ns": engine.Nanos}[unit]})
	}
	return fields
}

func decodeLines(t *testing.T, format string, fields []engine.Field, opts Options, lines []string) string {
	kind, ok := Find(format)
	if !ok {
		t.Fatalf("format %s", format)
	}
	newDecoder, err := kind.New(engine.NewSchema(fields...), opts)
	if err != nil {
		return "error: " + err.Error()
	}
	var values [][]byte
	for _, line := range lines {
		values = append(values, valueOf(t, line))
	}
	return printRows(t, newDecoder, &engine.Rows{Values: values})
}

// valueOf is the value that a line of a manual stands for.
func valueOf(t *testing.T, line string) []byte {
	switch {
	case line == "TOMBSTONE":
		return nil
	case line == "EMPTY":
		return []byte{}
	case strings.HasPrefix(line, `"`):
		text, err := strconv.Unquote(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return []byte(text)
	}
	return []byte(line)
}

// printRows decodes records and prints a line for each: the row, with its op
// where it is a table's, an error, or a dash if it is no row.
func printRows(t *testing.T, newDecoder func() engine.Decoder, rows *engine.Rows) string {
	b := &engine.Batch{Src: rows}
	errs := map[int32]error{}
	if err := newDecoder().Decode(b, func(row int32, err error) error { errs[row] = err; return nil }); err != nil {
		return "stopped: " + err.Error()
	}
	var out strings.Builder
	for i := range int32(len(rows.Values)) {
		switch selected := slices.Contains(b.Sel, i); {
		case errs[i] != nil:
			fmt.Fprintf(&out, "error: %v\n", errs[i])
			if selected {
				t.Errorf("row %d has an error and is selected", i)
			}
			continue
		case !selected:
			fmt.Fprintln(&out, "-")
			continue
		case b.Op != nil && b.Op[i] == engine.Delete:
			fmt.Fprintln(&out, "delete", printRow(&engine.Batch{Schema: b.Schema, Cols: b.Old}, i))
			for c := range b.Cols {
				if !b.Cols[c].Null(i) {
					t.Errorf("row %d is a delete and has columns", i)
				}
			}
			continue
		}
		fmt.Fprintln(&out, printRow(b, i))
	}
	return out.String()
}

func printRow(b *engine.Batch, i int32) string {
	var row []string
	for c, v := range rowOf(b, i) {
		switch v := v.(type) {
		case nil:
			row = append(row, b.Schema.Fields[c].Name+"=null")
		case string:
			row = append(row, fmt.Sprintf("%s=%q", b.Schema.Fields[c].Name, v))
		default:
			row = append(row, fmt.Sprintf("%s=%v", b.Schema.Fields[c].Name, v))
		}
	}
	return strings.Join(row, " ")
}

// Each format is found by its name, has a line of documentation, makes decoders
// for its own schema, and refuses a type it cannot have.
func TestKinds(t *testing.T) {
	if !sort.SliceIsSorted(Kinds, func(i, j int) bool { return Kinds[i].Name < Kinds[j].Name }) {
		t.Error("not sorted")
	}
	for _, kind := range Kinds {
		found, ok := Find(kind.Name)
		if !ok || found.Name != kind.Name || kind.Doc == "" {
			t.Errorf("%s: %+v", kind.Name, found)
		}
		schema := kind.Schema
		if schema == nil {
			schema = everything
		}
		newDecoder, err := kind.New(schema, ownSchema(t, kind, schema))
		if err != nil || newDecoder() == nil || newDecoder() == newDecoder() {
			t.Errorf("%s: %v", kind.Name, err)
		}
		if _, err := kind.New(engine.NewSchema(engine.Field{Name: "value"}), Options{}); err == nil {
			t.Errorf("%s takes a column without a type", kind.Name)
		}
	}
	if _, ok := Find("xml"); ok {
		t.Error("xml is found")
	}
}

// ownSchema is a format's own schema for columns, where it needs one.
func ownSchema(t *testing.T, kind Kind, schema *engine.Schema) Options {
	t.Helper()
	if !kind.HasSchemas {
		return Options{}
	}
	var opts EncoderOptions
	for c, f := range schema.Fields {
		if slices.ContainsFunc(schema.Fields, func(in engine.Field) bool { return strings.HasPrefix(in.Name, f.Name+".") }) {
			opts.Drop = append(opts.Drop, c) // it is read as what is inside it
		}
	}
	s, err := SchemaOf(kind.Name, schema, opts)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Schema: s}
}

// What bad says stops the decoder: a policy may be to fail.
func TestDecodeStops(t *testing.T) {
	for _, kind := range Kinds {
		schema := kind.Schema
		if schema == nil {
			schema = everything
		}
		newDecoder, err := kind.New(schema, ownSchema(t, kind, schema))
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		stop := fmt.Errorf("stop")
		b := &engine.Batch{Src: &engine.Rows{Values: [][]byte{nil, nil}}}
		err = newDecoder().Decode(b, func(row int32, err error) error {
			calls++
			if row != 0 || err != engine.ErrNullValue {
				t.Errorf("%s: row %d: %v", kind.Name, row, err)
			}
			return stop
		})
		if err != stop || calls != 1 {
			t.Errorf("%s: %v after %d calls", kind.Name, err, calls)
		}
	}
}
