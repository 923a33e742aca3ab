package codec

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/avro"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/leatstream/leat/engine"
)

// shelf is a registry in memory: what the manuals' schema commands put there.
type shelf struct {
	byID map[int]Schema
	down error
	asks int
}

func (s *shelf) ByID(id int) (Schema, error) {
	s.asks++
	if s.down != nil {
		return Schema{}, s.down
	}
	found, ok := s.byID[id]
	if !ok {
		return found, ErrUnknownSchema
	}
	return found, nil
}

func (s *shelf) Latest(string) (Schema, error) { return Schema{}, errors.New("not asked for") }

// TestSchemaManuals reads the manuals of the formats with schemas. The values
// are written by the formats' own libraries, from JSON, so that what we read
// is not what we wrote.
func TestSchemaManuals(t *testing.T) {
	for _, format := range []string{"avro", "protobuf"} {
		m := &schemaManual{format: format, shelf: &shelf{byID: map[int]Schema{}}, bare: map[string]Schema{}}
		datadriven.RunTest(t, "testdata/"+format+".txt", m.run)
	}
}

type schemaManual struct {
	format string
	shelf  *shelf
	bare   map[string]Schema // by name
}

func (m *schemaManual) run(t *testing.T, td *datadriven.TestData) string {
	switch td.Cmd {
	case "schema": // name=v1 [id=7]: its columns
		s := Schema{Format: m.format, Text: td.Input}
		td.MaybeScanArgs(t, "id", &s.ID)
		var name, message string
		td.MaybeScanArgs(t, "name", &name)
		td.MaybeScanArgs(t, "message", &message)
		m.bare[name] = s
		if s.ID > 0 {
			m.shelf.byID[s.ID] = s
		}
		cols, err := ColumnsOf(s, message)
		if err != nil {
			return "error: " + err.Error()
		}
		var out strings.Builder
		for _, c := range cols {
			fmt.Fprint(&out, c.Name, " ", c.Type)
			if c.Elem != engine.Invalid {
				fmt.Fprintf(&out, " [%s]", c.Elem)
			}
			fmt.Fprintln(&out)
		}
		return out.String()
	case "read": // schema=(…) from=v1 [as=v2] [message=M]: v1: {…}, or 0x…
		return m.read(t, td)
	case "write": // schema=(…) [with=v1] [name=n] [framed=id]: JSON rows
		return m.write(t, td)
	case "schemaof": // schema=(…) name=n [previous=v1]
		s, err := SchemaOf(m.format, engine.NewSchema(fieldsArg(t, td)...), m.options(t, td))
		if err != nil {
			return "error: " + err.Error()
		}
		return strings.TrimSpace(s.Text) + "\n"
	case "compatible": // previous=v1 next=v2
		var previous, next string
		td.ScanArgs(t, "previous", &previous)
		td.ScanArgs(t, "next", &next)
		if err := Compatible(m.bare[previous], m.bare[next]); err != nil {
			return fmt.Sprintf("error: %v (incompatible: %v)", err, errors.Is(err, ErrIncompatible))
		}
		return "ok"
	}
	return "unknown command"
}

func (m *schemaManual) options(t *testing.T, td *datadriven.TestData) EncoderOptions {
	var o EncoderOptions
	var with, previous string
	td.MaybeScanArgs(t, "name", &o.Name)
	td.MaybeScanArgs(t, "with", &with)
	td.MaybeScanArgs(t, "previous", &previous)
	td.MaybeScanArgs(t, "message", &o.Message)
	o.Schema, o.Previous = m.bare[with], m.bare[previous]
	if td.HasArg("framed") {
		td.ScanArgs(t, "framed", &o.ID)
		o.Framed = true
	}
	return o
}

func (m *schemaManual) read(t *testing.T, td *datadriven.TestData) string {
	var from, as, message string
	td.MaybeScanArgs(t, "from", &from)
	td.MaybeScanArgs(t, "as", &as)
	td.MaybeScanArgs(t, "message", &message)
	opts := Options{Schema: m.bare[from], Message: message}
	if td.HasArg("registry") {
		opts.Schema, opts.Schemas = m.bare[as], m.shelf
	}
	newDecoder, err := NewDecoder(m.format, "", engine.NewSchema(fieldsArg(t, td)...), opts)
	if err != nil {
		return "error: " + err.Error()
	}
	rows := &engine.Rows{}
	for _, line := range strings.Split(td.Input, "\n") {
		rows.Values = append(rows.Values, m.value(t, line, from, message, opts.Schemas != nil))
	}
	return printRows(t, newDecoder, rows)
}

// value makes a value of a line: JSON of the schema from, or of the one named
// before it (v2: {…}), or bytes in hexadecimal.
func (m *schemaManual) value(t *testing.T, line, from, message string, framed bool) []byte {
	if line == "TOMBSTONE" {
		return nil
	}
	if digits, ok := strings.CutPrefix(line, "0x"); ok {
		raw, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if name, rest, ok := strings.Cut(line, ": {"); ok && m.bare[name].Text != "" {
		from, line = name, "{"+rest
	}
	s := m.bare[from]
	value := []byte{}
	if framed {
		value = appendFrame(value, s.ID)
	}
	if m.format == "avro" {
		return append(value, avroValue(t, s, line)...)
	}
	f, err := parseProto(s)
	if err != nil {
		t.Fatal(err)
	}
	d, err := protoMessageOf(f, message)
	if err != nil {
		t.Fatal(err)
	}
	if framed {
		value = appendIndexes(value, protoIndexes(d))
	}
	return append(value, protoValueOf(t, dynamicpb.NewMessage(d), line)...)
}

func avroValue(t *testing.T, s Schema, line string) []byte {
	parsed, err := avro.Parse(s.Text)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := parsed.DecodeJSON([]byte(line), &v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	value, err := parsed.Encode(v)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return value
}

func protoValueOf(t *testing.T, message *dynamicpb.Message, line string) []byte {
	if err := protojson.Unmarshal([]byte(line), message); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// write encodes rows given as JSON and prints the bytes.
func (m *schemaManual) write(t *testing.T, td *datadriven.TestData) string {
	schema := engine.NewSchema(fieldsArg(t, td)...)
	newEncoder, err := NewRowEncoder(m.format, schema, m.options(t, td))
	if err != nil {
		return "error: " + err.Error()
	}
	return writeRows(t, newEncoder(), schema, td.Input, func(b []byte) string { return hex.EncodeToString(b) })
}

// writeRows reads rows of JSON, writes them, and shows what came out.
func writeRows(t *testing.T, e RowEncoder, schema *engine.Schema, input string, show func([]byte) string) string {
	newDecoder, err := JSON(schema, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &engine.Batch{Src: &engine.Rows{}}
	for _, line := range strings.Split(input, "\n") {
		b.Src.Values = append(b.Src.Values, []byte(line))
	}
	if err := newDecoder().Decode(b, func(_ int32, err error) error { return err }); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i := range b.Src.Values {
		value, err := e.AppendRow(nil, b.Cols, int32(i))
		if err != nil {
			fmt.Fprintln(&out, "error:", err)
			continue
		}
		fmt.Fprintln(&out, show(value))
	}
	return out.String()
}

// A registry that is not there stops the decoder with an error to be tried
// again; it is no record's fault. One that is known again is asked once per id.
func TestRegistryTrouble(t *testing.T) {
	schema := engine.NewSchema(engine.Field{Name: "id", Type: engine.String})
	for _, format := range []string{"avro", "protobuf"} {
		s, err := SchemaOf(format, schema, EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		shelf := &shelf{byID: map[int]Schema{1: s}, down: errors.New("connection refused")}
		value := append(appendFrame(nil, 1), 0)
		if format == "avro" {
			value = append(appendFrame(nil, 1), 2, 2, 'a')
		}
		newDecoder, err := NewDecoder(format, "", schema, Options{Schemas: shelf})
		if err != nil {
			t.Fatal(err)
		}
		d := newDecoder()
		b := &engine.Batch{Src: &engine.Rows{Values: [][]byte{value, value, value}}}
		blamed := func(row int32, err error) error { t.Errorf("%s: row %d: %v", format, row, err); return nil }
		if err := d.Decode(b, blamed); engine.KindOf(err) != engine.Retry {
			t.Errorf("%s: %v, want an error to be tried again", format, err)
		}
		shelf.down = engine.E(engine.Environment, "find a schema", errors.New("no rights"))
		if err := d.Decode(b, blamed); engine.KindOf(err) != engine.Environment {
			t.Errorf("%s: %v, want the registry's own kind", format, err)
		}
		shelf.down, shelf.asks = nil, 0
		if err := d.Decode(b, blamed); err != nil || len(b.Sel) != 3 {
			t.Errorf("%s: %v, rows %v", format, err, b.Sel)
		}
		if err := newDecoder().Decode(b, blamed); err != nil || shelf.asks != 1 {
			t.Errorf("%s: %v, the registry was asked %d times", format, err, shelf.asks)
		}
	}
}

// TestRowManuals: csv, string and bytes, and the envelopes around JSON.
func TestRowManuals(t *testing.T) {
	for _, file := range []string{"csv", "envelope"} {
		datadriven.RunTest(t, "testdata/"+file+".txt", rowCommand)
	}
}

func rowCommand(t *testing.T, td *datadriven.TestData) string {
	format, envelope, delimiter, quote := "csv", "", "", ""
	td.MaybeScanArgs(t, "format", &format)
	td.MaybeScanArgs(t, "envelope", &envelope)
	td.MaybeScanArgs(t, "delimiter", &delimiter)
	td.MaybeScanArgs(t, "quote", &quote)
	form, err := ParseCSV(td.HasArg("header"), delimiter, quote)
	if err != nil {
		return "error: " + err.Error()
	}
	schema := engine.NewSchema(fieldsArg(t, td)...)
	switch td.Cmd {
	case "write":
		newEncoder, err := NewRowEncoder(format, schema, EncoderOptions{CSV: form})
		if err != nil {
			return "error: " + err.Error()
		}
		return writeRows(t, newEncoder(), schema, td.Input, func(b []byte) string { return fmt.Sprintf("%q", b) })
	case "decode":
		opts := Options{CSV: form, Table: td.HasArg("key")}
		if opts.Table {
			key, _ := td.Arg("key")
			opts.Key = key.Vals
		}
		if arg, ok := td.Arg("declared"); ok {
			var fields []engine.Field
			for _, name := range arg.Vals {
				fields = append(fields, engine.Field{Name: name, Type: engine.String})
			}
			opts.Declared = engine.NewSchema(fields...)
		}
		newDecoder, err := NewDecoder(format, envelope, schema, opts)
		if err != nil {
			return "error: " + err.Error()
		}
		rows := &engine.Rows{}
		for _, line := range strings.Split(td.Input, "\n") {
			var key []byte
			if text, rest, ok := strings.Cut(line, " => "); ok {
				key, line = valueOf(t, text), rest
			}
			rows.Keys, rows.Values = append(rows.Keys, key), append(rows.Values, valueOf(t, line))
		}
		return printRows(t, newDecoder, rows)
	}
	return "unknown command"
}

// Bytes that are no values of a schema are errors of their rows: never a panic,
// never a hang, and what is read does not depend on what was read before.
func FuzzDecodeSchemas(f *testing.F) {
	type kindOf struct {
		name string
		s    Schema
	}
	var kinds []kindOf
	for _, format := range []string{"avro", "protobuf"} {
		for _, name := range slices.Sorted(maps.Keys(fuzzSchemas[format])) {
			kinds = append(kinds, kindOf{name, Schema{Format: format, Text: fuzzSchemas[format][name]}})
		}
	}
	var makers [][2]func() engine.Decoder
	for k, kind := range kinds {
		cols, err := ColumnsOf(kind.s, "")
		if err != nil {
			f.Fatal(kind.name, err)
		}
		var flat, anys []engine.Field
		seen := map[string]bool{}
		for _, c := range cols {
			flat = append(flat, c.Field)
			if top, _ := cutPath(c.Name); !seen[top] {
				seen[top] = true
				anys = append(anys, engine.Field{Name: top, Type: engine.Any})
			}
		}
		a, err := NewDecoder(kind.s.Format, "", engine.NewSchema(flat...), Options{Schema: kind.s})
		if err != nil {
			f.Fatal(err)
		}
		b, err := NewDecoder(kind.s.Format, "", engine.NewSchema(anys...), Options{Schema: kind.s})
		if err != nil {
			f.Fatal(err)
		}
		makers = append(makers, [2]func() engine.Decoder{a, b})
		for _, seed := range []string{"", "\x00", "\x02\x02a\x02\x04", "\x0a\x01a\x10\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\x7f\xff", strings.Repeat("\x02", 200)} {
			f.Add(k, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, k int, value []byte) {
		if k < 0 || k >= len(makers) {
			return
		}
		for _, newDecoder := range makers[k] {
			d := newDecoder()
			once := printRows(t, func() engine.Decoder { return d }, &engine.Rows{Values: [][]byte{value, []byte("\x01"), value}})
			lines := strings.Split(once, "\n")
			if lines[0] != lines[2] {
				t.Fatalf("%s\nthen\n%s", lines[0], lines[2])
			}
		}
	})
}

var fuzzSchemas = map[string]map[string]string{
	"avro": {
		"all": `{"type":"record","name":"R","fields":[
			{"name":"s","type":["null","string"]},{"name":"n","type":["int","null","string"]},{"name":"d","type":"double"},{"name":"l","type":{"type":"array","items":"long"}},
			{"name":"m","type":{"type":"map","values":["null","R"]}},{"name":"in","type":["null",{"type":"record","name":"In","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"f","type":{"type":"fixed","name":"F","size":3}}]}]},
			{"name":"x","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"day","type":{"type":"int","logicalType":"date"}},{"name":"b","type":"boolean"}]}`,
		"nothing": `{"type":"record","name":"R","fields":[{"name":"l","type":{"type":"array","items":"null"}},{"name":"e","type":{"type":"array","items":{"type":"record","name":"E","fields":[]}}}]}`,
	},
	"protobuf": {
		"three": `syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "google/protobuf/struct.proto"; import "google/protobuf/wrappers.proto";
			message R { string s = 1; optional int32 n = 2; double d = 3; repeated sint64 l = 4; map<string, R> m = 5; In in = 6; oneof o { string a = 7; In b = 8; } google.protobuf.Timestamp at = 9;
			google.protobuf.Value v = 10; google.protobuf.UInt64Value w = 11; E e = 12; uint64 u = 70; bytes raw = 2000; message In { float f = 1; In in = 2; fixed32 x = 3; } enum E { A = 0; B = 1; } }`,
		"two": `syntax = "proto2"; message R { required string s = 1; optional group G = 2 { optional int32 n = 1; } repeated int32 p = 3 [packed = true]; optional E e = 4; enum E { A = 5; } }`,
	},
}

// Of a csv row no text is a panic, and what is read is what encoding/csv reads.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"", "a,1", `"a""b",2`, "a,1\r\n", "\"a\nb\",3\n", `"a`, `"a"b,1`, `a"b,1`, ",", "a,1\nb,2", "\r,1", "x\ry,1", "a,+1e2"} {
		f.Add([]byte(seed))
	}
	newDecoder, err := CSVRows(engine.NewSchema(engine.Field{Name: "a", Type: engine.String}, engine.Field{Name: "b", Type: engine.String}), Options{})
	if err != nil {
		f.Fatal(err)
	}
	numbers, err := CSVRows(engine.NewSchema(engine.Field{Name: "a", Type: engine.Double}, engine.Field{Name: "b", Type: engine.Timestamp}), Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		printRows(t, numbers, &engine.Rows{Values: [][]byte{value}})
		got := strings.TrimSuffix(printRows(t, newDecoder, &engine.Rows{Values: [][]byte{value}}), "\n")
		if want, ok := csvByLibrary(value); ok && got != want {
			t.Fatalf("%q:\n got %s\nwant %s", value, got, want)
		}
	})
}

// csvByLibrary is what encoding/csv reads of a row with two fields. It differs
// on purpose, and is not asked, for carriage returns inside a row (we keep
// them), blank lines (an empty row to us, before or behind), quotes inside plain text (an error
// to it) and invalid UTF-8.
func csvByLibrary(value []byte) (string, bool) {
	text := strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r")
	if strings.ContainsAny(text, "\r") || strings.HasPrefix(text, "\n") || strings.HasSuffix(text, "\n") || strings.ToValidUTF8(text, "") != text {
		return "", false
	}
	fields, more, err := libraryCSV(string(value))
	if err != nil || more || len(fields) != 2 {
		return "", false
	}
	row := make([]string, 2)
	for k, name := range []string{"a", "b"} {
		row[k] = name + "=null"
		if fields[k] != "" || strings.Contains(text, `""`) {
			row[k] = name + "=" + strconv.Quote(fields[k])
		}
	}
	if strings.Contains(text, `""`) && (fields[0] == "" || fields[1] == "") {
		return "", false // empty text or null: the library does not tell
	}
	return strings.Join(row, " "), true
}
