package codec

import (
	"testing"

	"github.com/leatstream/leat/engine"
)

const debeziumEnvelope = `{"type":"record","name":"Envelope","namespace":"server.shop.orders","fields":[
	{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"int"},{"name":"note","type":["null","string"]},{"name":"at","type":{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}}]}]},
	{"name":"after","type":["null","Value"]},
	{"name":"op","type":"string"},
	{"name":"ts_ms","type":["null","long"]}]}`

// Change events as a registry's avro are as those in JSON, keys too.
func TestDebeziumAvro(t *testing.T) {
	value := Schema{Format: "avro", Text: debeziumEnvelope}
	key := Schema{Format: "avro", Text: `{"type":"record","name":"Key","fields":[{"name":"id","type":"int"}]}`}
	shelf := &shelf{byID: map[int]Schema{1: value, 2: key}}
	framed := func(id int, json string) []byte {
		return append(appendFrame(nil, id), avroValue(t, shelf.byID[id], json)...)
	}
	rows := &engine.Rows{}
	for _, v := range []string{
		`{"before":null,"after":{"id":1,"note":"a","at":1700000000123456},"op":"c","ts_ms":5}`,
		`{"before":{"id":1,"note":"a","at":0},"after":{"id":1,"note":null,"at":1000},"op":"u","ts_ms":6}`,
		`{"before":{"id":1,"note":"b","at":0},"after":null,"op":"d","ts_ms":7}`,
		`{"before":null,"after":null,"op":"d","ts_ms":null}`,
	} {
		rows.Values = append(rows.Values, framed(1, v))
		rows.Keys = append(rows.Keys, framed(2, `{"id":1}`))
	}
	rows.Values = append(rows.Values, nil, []byte("no avro"), nil)
	rows.Keys = append(rows.Keys, framed(2, `{"id":9}`), nil, []byte("no key"))
	row := []engine.Field{{Name: "id", Type: engine.Int}, {Name: "note", Type: engine.String}, {Name: "at", Type: engine.Timestamp, Unit: engine.Micros}}
	for _, c := range []struct {
		name   string
		fields []engine.Field
		opts   Options
		want   string
	}{
		{"source", append(row[:3:3], debeziumMeta...), Options{Schemas: shelf}, `id=1 note="a" at=1700000000123 __op="c" before=null __ts_ms=5
id=1 note=null at=1 __op="u" before="{\"id\":1,\"note\":\"a\",\"at\":0}" __ts_ms=6
id=null note=null at=null __op="d" before="{\"id\":1,\"note\":\"b\",\"at\":0}" __ts_ms=7
id=null note=null at=null __op="d" before=null __ts_ms=null
error: null value
error: want a schema's id, which begins with byte 0, got byte 0x6e
error: null value
`},
		{"source without extras", row, Options{Schemas: shelf}, `id=1 note="a" at=1700000000123
id=1 note=null at=1
id=null note=null at=null
id=null note=null at=null
error: null value
error: want a schema's id, which begins with byte 0, got byte 0x6e
error: null value
`},
		{"table", row, Options{Schemas: shelf, Table: true, Key: []string{"id"}}, `id=1 note="a" at=1700000000123
id=1 note=null at=1
delete id=1 note="b" at=0
delete id=1 note=null at=null
delete id=9 note=null at=null
error: want a schema's id, which begins with byte 0, got byte 0x6e
-
`},
	} {
		newDecoder, err := NewDecoder("avro", "debezium", engine.NewSchema(c.fields...), c.opts)
		if err != nil {
			t.Fatal(err)
		}
		d := newDecoder()
		for range 2 { // the second time into used memory
			if got := printRows(t, func() engine.Decoder { return d }, rows); got != c.want {
				t.Errorf("%s:\n%s", c.name, got)
			}
		}
	}
	// Of a bare value only the value's schema is known: before tells the key.
	newDecoder, err := NewDecoder("avro", "debezium", engine.NewSchema(row...), Options{Schema: value, Table: true, Key: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	bare := &engine.Rows{Values: [][]byte{
		avroValue(t, value, `{"before":{"id":1,"note":"b","at":0},"after":null,"op":"d","ts_ms":7}`),
		avroValue(t, value, `{"before":null,"after":null,"op":"d","ts_ms":7}`), nil,
	}, Keys: [][]byte{nil, nil, nil}}
	if got, want := printRows(t, newDecoder, bare), "delete id=1 note=\"b\" at=0\nerror: a delete tells the key neither in before nor in the record's key\n-\n"; got != want {
		t.Errorf("bare:\n%s", got)
	}
}

func TestOutboxAvro(t *testing.T) {
	s := Schema{Format: "avro", Text: `{"type":"record","name":"Envelope","fields":[
		{"name":"after","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"string"},{"name":"aggregatetype","type":"string"},{"name":"aggregateid","type":"long"},{"name":"type","type":["null","string"]},{"name":"payload","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}]}]}]},
		{"name":"op","type":"string"}]}`}
	newDecoder, err := NewDecoder("avro", "outbox", engine.NewSchema(append([]engine.Field{{Name: "amount", Type: engine.Double}}, outboxMeta...)...), Options{Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	rows := &engine.Rows{Values: [][]byte{
		avroValue(t, s, `{"after":{"id":"7","aggregatetype":"order","aggregateid":42,"type":"Paid","payload":"{\"amount\": 5}"},"op":"c"}`),
		avroValue(t, s, `{"after":null,"op":"d"}`),
		avroValue(t, s, `{"after":{"id":"8","aggregatetype":"order","aggregateid":42,"type":null,"payload":null},"op":"r"}`),
		avroValue(t, s, `{"after":{"id":"9","aggregatetype":"order","aggregateid":42,"type":null,"payload":"text"},"op":"r"}`),
		avroValue(t, s, `{"after":null,"op":"?"}`),
	}}
	want := `amount=5 __id="7" __aggregatetype="order" __aggregateid="42" __type="Paid"
-
error: null value
error: payload: want a JSON object, got text
error: want op c, u, d or r, got "?"
`
	if got := printRows(t, newDecoder, rows); got != want {
		t.Error(got)
	}
}

// What bad says stops an envelope's decoder too, wherever the error was found.
func TestEnvelopeStops(t *testing.T) {
	for _, c := range []struct{ envelope, value string }{
		{"debezium", `{"op":1}`}, {"debezium", `{"op":"x"}`}, {"debezium", `{"op":"c","after":{"id":1}}`}, {"debezium", `{"op":"d"}`}, {"debezium", `{"op":"d","before":[]}`},
		{"outbox", `[]`}, {"outbox", `{"op":"x"}`}, {"outbox", `{"op":"c","after":[]}`}, {"outbox", `{"op":"c","after":{"payload":{"id":1}}}`}, {"outbox", `{"op":"c","after":{}}`},
	} {
		newDecoder, err := NewDecoder("json", c.envelope, engine.NewSchema(engine.Field{Name: "id", Type: engine.String}), Options{Table: c.envelope == "debezium", Key: []string{"id"}})
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		b := &engine.Batch{Src: &engine.Rows{Values: [][]byte{[]byte(c.value), []byte(c.value)}, Keys: [][]byte{nil, nil}}}
		err = newDecoder().Decode(b, func(int32, error) error { calls++; return errFull })
		if err != errFull || calls != 1 {
			t.Errorf("%s %s: %v after %d calls", c.envelope, c.value, err, calls)
		}
	}
}

var errFull = engine.E(engine.Fatal, "write a dead letter", engine.ErrNullValue)

// An envelope's text is never a panic, and a row that is selected is whole.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{
		`{"op":"c","after":{"id":"1"}}`, `{"payload":{"op":"d","before":null}}`, `{"op":"d","before":{}}`, `{"schema":1,"payload":{"id":"1","aggregatetype":"a","payload":"{\"id\":\"x\"}"}}`,
		`{"aggregateid":1,"payload":{"id":"1"}}`, `{"op":"\u0063","after":{"payload":"\"{}\""}}`, `5`, `null`, ``, `{"op":"m"}`,
	} {
		f.Add([]byte(seed), []byte(seed))
	}
	var makers []func() engine.Decoder
	for _, c := range []struct {
		envelope string
		opts     Options
	}{{"debezium", Options{}}, {"debezium", Options{Table: true, Key: []string{"id"}}}, {"outbox", Options{}}} {
		fields := append([]engine.Field{{Name: "id", Type: engine.String}, {Name: "n", Type: engine.Int}}, debeziumMeta...)
		newDecoder, err := NewDecoder("json", c.envelope, engine.NewSchema(append(fields, outboxMeta...)...), c.opts)
		if err != nil {
			f.Fatal(err)
		}
		makers = append(makers, newDecoder)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		for _, newDecoder := range makers {
			printRows(t, newDecoder, &engine.Rows{Keys: [][]byte{key, nil, key}, Values: [][]byte{value, value, nil}})
		}
	})
}
