package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
)

// everything has each type, nesting, and an `any` with a column inside.
var everything = engine.NewSchema(
	engine.Field{Name: "id", Type: engine.String},
	engine.Field{Name: "n", Type: engine.Int},
	engine.Field{Name: "t", Type: engine.Double},
	engine.Field{Name: "ok", Type: engine.Bool},
	engine.Field{Name: "ts", Type: engine.Timestamp},
	engine.Field{Name: "sec", Type: engine.Timestamp, Unit: engine.Seconds},
	engine.Field{Name: "us", Type: engine.Timestamp, Unit: engine.Micros},
	engine.Field{Name: "ns", Type: engine.Timestamp, Unit: engine.Nanos},
	engine.Field{Name: "loc.lat", Type: engine.Double},
	engine.Field{Name: "loc.lon", Type: engine.Double},
	engine.Field{Name: "loc.in.floor", Type: engine.Int},
	engine.Field{Name: "raw", Type: engine.Any},
	engine.Field{Name: "raw.x", Type: engine.Int},
	engine.Field{Name: "bin", Type: engine.Bytes},
)

func TestJSONEqualsEncodingJSON(t *testing.T) {
	for _, v := range nasty {
		checkAgainstOracle(t, []byte(v))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := &recordMaker{rand.New(rand.NewPCG(seed, 0))}
	for range 1000 {
		v := g.record()
		checkAgainstOracle(t, v)
		checkAgainstOracle(t, v[:g.IntN(len(v))]) // cut off
		v[g.IntN(len(v))] = byte(g.IntN(256))     // damaged
		checkAgainstOracle(t, v)
		if t.Failed() {
			return
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, v := range nasty {
		f.Add([]byte(v))
	}
	f.Fuzz(checkAgainstOracle)
}

var (
	usual  = []byte(`{"id":"a","n":1,"t":1.5,"ok":true,"ts":1700000000000,"loc":{"lat":1,"lon":2},"raw":[1],"bin":"aGk="}`)
	spaced = []byte("\t{\r\n \"id\" : \"a\" ,\n \"n\" : 1 , \"loc\" : { \"lat\" : 1 , \"in\" : { \"floor\" : 3 } } }\n")
)

var nasty = []string{
	``, ` `, `{}`, ` { } `, `{`, `}`, `null`, `[]`, `1`, `"x"`, "\ufeff{}", `{} {}`, `{},`, `{"id"`, `{"id":`, `{"id":"`, `{"id":"a`, `{"id":"a"`, `{"id":"a",`, `{"id":"a",}`, `{,}`, `{1:2}`, `{"id" "a"}`,
	string(usual), string(spaced),
	`{"id":"a","id":"b"}`, `{"id":"a","id":null}`, `{"id":null,"id":"b"}`, `{"id":1,"id":"b"}`, `{"n":1,"n":2.0,"n":3}`,
	`{"loc":{"lat":1},"loc":{"lon":2}}`, `{"loc":{"lat":1},"loc":null}`, `{"loc":null,"loc":{"lat":null,"lon":1}}`, `{"loc":{"lat":null},"loc":{"lat":1}}`, `{"loc":{"in":{"floor":1}},"loc":{"in":{}}}`, `{"loc":5}`, `{"loc":[]}`, `{"loc":{}}`, `{"loc":{"in":{}}}`, `{"loc":{"in":"x"}}`,
	`{"loc": {"lat":1}}`, `{"loc":{"lat":1}`, `{"loc":{"lat":1}}}`, `{"loc.lat":1}`,
	`{"raw":{"x":1}}`, `{"raw":{"x":"a"}}`, `{"raw":{"x":1},"raw":2}`, `{"raw":{"x":1},"raw":null}`, "{\"raw\":{\"x\": 1,\n\"y\":\"\\\"\\n \"}}", "{\"raw\":\"\xff\xfe\"}", `{"raw": [ 1, {"x":2} ] }`, `{"raw":{"x":1,}}`,
	`{"t":1e400}`, `{"t":-1e400}`, `{"t":1e-400}`, `{"t":-0}`, `{"t":-0.0}`, `{"t":0e0}`, `{"t":01}`, `{"t":1.}`, `{"t":.5}`, `{"t":+1}`, `{"t":-}`, `{"t":1e}`, `{"t":1e+}`, `{"t":NaN}`, `{"t":Infinity}`, `{"t":0x1p3}`, `{"t":1_000}`, `{"t":"1"}`, `{"t":0.1}`, `{"t":123456789012345678}`, `{"t":9007199254740993}`, `{"t":1.7976931348623157e308}`, `{"t":5e-324}`, `{"t":0.000000000000000000000001}`, `{"t":1.00000000000000000000000001}`, `{"t":12345.678901234567}`,
	`{"n":9223372036854775807}`, `{"n":9223372036854775808}`, `{"n":-9223372036854775808}`, `{"n":-9223372036854775809}`, `{"n":9007199254740993}`, `{"n":-0}`, `{"n":1e3}`, `{"n":1.0}`, `{"n":1.5}`, `{"n":12.5e1}`, `{"n":1e18}`, `{"n":1e19}`, `{"n":0e99999999999}`, `{"n":1e99999999999}`, `{"n":1e-99999999999}`, `{"n":100e-2}`, `{"n":100e-3}`, `{"n":99999999999999999999}`, `{"n":0.001e3}`, `{"n":00}`, `{"n":123456789}`, `{"n":12345678}`, `{"n":1234567.8}`, `{"n":"1"}`, `{"n":true}`, `{"n":9223372036854775807.000}`, `{"n":10.50e1}`,
	`{"ts":"2023-11-14T22:13:20Z"}`, `{"ts":"2023-11-14T23:13:20.123456789+01:00"}`, `{"ts":"2023-11-14"}`, `{"ts":"2023-11-14t22:13:20z"}`, `{"ts":"yesterday"}`, `{"ts":"2023-11-14T22:13:20\u005a"}`, `{"ts":1.7e12}`, `{"ts":1.5}`, `{"ts":true}`, `{"sec":1700000000}`, `{"sec":9223372036854775807}`, `{"us":1700000000000999}`, `{"us":-1}`, `{"ns":-1000001}`, `{"ns":1700000000000999999}`, `{"ts":"1969-12-31T23:59:59.9999Z"}`,
	`{"ok":true}`, `{"ok":false}`, `{"ok":tru}`, `{"ok":truex}`, `{"ok":"true"}`, `{"ok":1}`, `{"ok":nul}`, `{"ok":nullx}`,
	`{"id":"\ud83d\ude00"}`, `{"id":"\ud83d"}`, `{"id":"\ude00x"}`, `{"id":"\ud83d\ud83d\ude00"}`, `{"id":"\ud83d\u0041"}`, `{"id":"\u0000\b\f\n\r\t\/\\\""}`, `{"id":"\x"}`, `{"id":"\u12"}`, `{"id":"\u12g4"}`, `{"id":"\`, `{"id":"\u`, `{"id":"grüße 你好 😀"}`, "{\"id\":\"a\x00b\"}", "{\"id\":\"a\nb\"}", "{\"id\":\"a\x7fb\"}", "{\"id\":\"\xff\"}", "{\"id\":\"abcdefg\xc3\"}", "{\"id\":\"\xed\xa0\x80\"}", "{\"id\":\"\xf0\x9f\x98\"}", "{\"\xff\":1,\"\xffid\":2}", `{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`,
	`{"\u0069d":"a"}`, `{"i\u0064":"a","id":"b"}`, `{"ID":"a"}`, `{"":1}`, `{"\"":1}`, `{"x":{"id":"no"},"id":"yes"}`, `{"x":[{"id":"no"}],"y":"}","id":"yes"}`, `{"x":[1,]}`, `{"x":[,1]}`, `{"x":[1 2]}`, `{"x":{"y"}}`, `{"x":{"y":1,}}`, `{"x":{"y":1 "z":2}}`,
	`{"bin":""}`, `{"bin":"aGk"}`, `{"bin":"aGk="}`, `{"bin":"a\u0047k="}`, `{"bin":"a-_="}`, `{"bin":5}`, `{"bin":[1,2]}`,
	`{"x":` + strings.Repeat("[", 511) + strings.Repeat("]", 511) + `}`, `{"x":` + strings.Repeat("[", 512) + strings.Repeat("]", 512) + `}`, `{"raw":` + strings.Repeat(`{"x":`, 600) + `1` + strings.Repeat("}", 600) + `}`, strings.Repeat(`{"loc":`, 20), `{"x":` + strings.Repeat("[", 100000),
}

// checkAgainstOracle decodes v with decoders that have learned nothing, v's own
// shape, or another one, and compares each row with what encoding/json says.
func checkAgainstOracle(t *testing.T, v []byte) {
	t.Helper()
	for _, opts := range []Options{{}, {plain: true}} {
		b, errs := decodeAll(t, everything, opts, v, v, usual, v, spaced, v, v)
		for i, value := range b.Src.Values {
			want, wantErr := oracle(everything, value)
			if (errs[i] != nil) != (wantErr != nil) {
				t.Errorf("%q, %+v, row %d: got error %v, encoding/json %v", v, opts, i, errs[i], wantErr)
				return
			}
			if errs[i] != nil {
				continue
			}
			if got := rowOf(b, int32(i)); !sameRow(got, want) {
				t.Errorf("%q, %+v, row %d:\n got %v\nwant %v", v, opts, i, got, want)
				return
			}
		}
	}
}

// decodeAll decodes values as one batch and collects the errors by row.
func decodeAll(t testing.TB, schema *engine.Schema, opts Options, values ...[]byte) (*engine.Batch, map[int]error) {
	t.Helper()
	newDecoder, err := JSON(schema, opts)
	if err != nil {
		t.Fatal(err)
	}
	b := &engine.Batch{Src: &engine.Rows{Values: values}}
	errs := map[int]error{}
	err = newDecoder().Decode(b, func(row int32, err error) error {
		errs[int(row)] = err
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Sel)+len(errs) != len(values) {
		t.Fatalf("%d rows are selected and %d bad, of %d", len(b.Sel), len(errs), len(values))
	}
	return b, errs
}

// rowOf gives a row as Go values, null as nil.
func rowOf(b *engine.Batch, i int32) []any {
	row := make([]any, len(b.Cols))
	for c := range b.Cols {
		col := &b.Cols[c]
		switch {
		case col.Null(i):
		case col.Type == engine.Int || col.Type == engine.Timestamp:
			row[c] = col.Ints[i]
		case col.Type == engine.Double:
			row[c] = col.Doubles[i]
		case col.Type == engine.Bool:
			row[c] = col.Bools[i]
		default:
			row[c] = col.Strs[i]
		}
	}
	return row
}

func sameRow(a, b []any) bool {
	for i := range a {
		x, isDouble := a[i].(float64)
		y, too := b[i].(float64)
		if isDouble && too {
			if math.Float64bits(x) != math.Float64bits(y) {
				return false
			}
		} else if a[i] != b[i] {
			return false
		}
	}
	return true
}

// oracle is the decoder's meaning, written with encoding/json and no thought
// of time.
func oracle(schema *engine.Schema, v []byte) ([]any, error) {
	if !json.Valid(v) {
		return nil, errors.New("not JSON")
	}
	if depthOf(v) > 512 {
		return nil, errors.New("too deep")
	}
	row := make([]any, len(schema.Fields))
	return row, oracleObject(schema, row, "", v)
}

func depthOf(v []byte) (deepest int) {
	depth := 0
	for dec := json.NewDecoder(bytes.NewReader(v)); ; {
		token, err := dec.Token()
		if err == io.EOF {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

func oracleObject(schema *engine.Schema, row []any, prefix string, v []byte) error {
	dec := json.NewDecoder(bytes.NewReader(v))
	if token, _ := dec.Token(); token != json.Delim('{') {
		return fmt.Errorf("%q is not an object", prefix)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		if strings.Contains(key.(string), ".") {
			continue
		}
		name := prefix + key.(string)
		c := schema.Lookup(name)
		if c >= 0 {
			if row[c], err = oracleValue(schema.Fields[c], raw); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		holds := false
		for k, f := range schema.Fields {
			if strings.HasPrefix(f.Name, name+".") {
				row[k], holds = nil, true
			}
		}
		if holds && string(raw) != "null" && (c < 0 || raw[0] == '{') {
			if err := oracleObject(schema, row, name+".", raw); err != nil {
				return err
			}
		}
	}
	return nil
}

func oracleValue(f engine.Field, raw []byte) (any, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	var err error
	switch f.Type {
	case engine.String:
		var v string
		err = json.Unmarshal(raw, &v)
		return v, err
	case engine.Double:
		var v float64
		err = json.Unmarshal(raw, &v)
		return v, err
	case engine.Bool:
		var v bool
		err = json.Unmarshal(raw, &v)
		return v, err
	case engine.Bytes:
		var v []byte
		if raw[0] != '"' {
			return nil, errors.New("not text")
		}
		err = json.Unmarshal(raw, &v)
		return string(v), err
	case engine.Int:
		return oracleInt(raw)
	case engine.Timestamp:
		if raw[0] == '"' {
			var s string
			var t time.Time
			err = errors.Join(json.Unmarshal(raw, &s), t.UnmarshalText([]byte(s)))
			return t.UnixMilli(), err
		}
		v, err := oracleInt(raw)
		if err != nil {
			return nil, err
		}
		ms := big.NewInt(v.(int64))
		switch f.Unit {
		case engine.Seconds:
			ms.Mul(ms, big.NewInt(1000))
		case engine.Micros:
			ms.Div(ms, big.NewInt(1000)) // Euclidean: down for a positive divisor
		case engine.Nanos:
			ms.Div(ms, big.NewInt(1000000))
		}
		if !ms.IsInt64() {
			return nil, errors.New("out of range")
		}
		return ms.Int64(), nil
	}
	text := strings.ToValidUTF8(string(raw), "")
	if text == string(raw) && !strings.ContainsAny(text, "\r\n") {
		return text, nil
	}
	var line bytes.Buffer
	err = json.Compact(&line, appendRunes(raw))
	return line.String(), err
}

func appendRunes(raw []byte) (valid []byte) {
	for _, r := range string(raw) { // an invalid byte is one U+FFFD
		valid = append(valid, string(r)...)
	}
	return valid
}

func oracleInt(raw []byte) (any, error) {
	if raw[0] == '"' || raw[0] == 't' || raw[0] == 'f' || raw[0] == '{' || raw[0] == '[' {
		return nil, errors.New("not a number")
	}
	text := strings.ToLower(string(raw))
	digits, exponent, _ := strings.Cut(text, "e")
	if exponent != "" {
		// big.Rat would write the zeros out.
		if e, err := strconv.Atoi(exponent); err != nil || e > 5000 || e < -5000 {
			if strings.Trim(digits, "-0.") == "" {
				return int64(0), nil
			}
			return nil, errors.New("not an int")
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return nil, errors.New("not an int")
	}
	return r.Num().Int64(), nil
}

// recordMaker makes records of random shapes out of keys and values that are
// near to what the schema `everything` wants.
type recordMaker struct{ *rand.Rand }

func (g *recordMaker) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g *recordMaker) space() string {
	if g.IntN(6) > 0 {
		return ""
	}
	return g.pick(" ", "\n", "\t ", "  ", "\r\n")
}

func (g *recordMaker) record() []byte {
	return []byte(g.space() + g.object(g.pick("id", ""), 0) + g.space())
}

func (g *recordMaker) object(first string, depth int) string {
	var sb strings.Builder
	sb.WriteString("{" + g.space())
	for k := range g.IntN(9) {
		key := first
		if k > 0 || first == "" {
			key = g.pick("id", "n", "t", "ok", "ts", "sec", "us", "ns", "loc", "lat", "lon", "in", "floor", "raw", "x", "bin", "zz", "i\\u0064")
		}
		if k > 0 {
			sb.WriteString("," + g.space())
		}
		sb.WriteString(`"` + key + `"` + g.space() + ":" + g.space() + g.value(key, depth) + g.space())
	}
	return sb.String() + "}"
}

func (g *recordMaker) value(key string, depth int) string {
	if g.IntN(12) == 0 {
		key = g.pick("id", "n", "t", "ok", "ts", "loc", "bin", "x")
	}
	if g.IntN(15) == 0 {
		return "null"
	}
	switch key {
	case "id", "zz":
		return g.pick(`"a"`, `""`, `"s-00042"`, `"longer than eight bytes"`, `"é"`, `"\u00e9\n"`, "\"\xff\"", `"\ud83d\ude00"`)
	case "n", "floor", "x", "ts", "sec", "us", "ns":
		n := g.Int64() >> g.IntN(64)
		if g.IntN(2) == 0 {
			n = -n
		}
		return strconv.FormatInt(n, 10) + g.pick("", "", "", "", ".0", "e1", "e0", "0e-1", ".5")
	case "t", "lat", "lon":
		return strconv.FormatFloat(g.NormFloat64()*math.Pow(10, float64(g.IntN(30)-15)), "efg"[g.IntN(3)], g.IntN(20)-1, 64)
	case "ok":
		return g.pick("true", "false")
	case "bin":
		return g.pick(`"aGk="`, `""`, `"AAECAw=="`)
	case "loc", "in", "raw":
		if depth < 4 {
			return g.object("", depth+1)
		}
		return "{}"
	}
	return g.pick(`[]`, `[1, 2]`, `[{"id":1}]`, `{"id":{"id":[]}}`, `"x"`, `0`)
}
