package expr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	exprlang "github.com/expr-lang/expr"

	"github.com/leatstream/leat/engine"
)

// differences are all the ways in which a result may differ from that of
// expr's own VM; testdata names one of them wherever it does.
var differences = map[string]string{
	"null":       "null makes null, and counts as false in a condition; the VM fails or takes nil for a value",
	"division":   "division by zero is an error; the VM gives an infinity",
	"overflow":   "int overflow is an error; the VM wraps",
	"exact":      "int and double compare exactly; the VM rounds the int to a double",
	"characters": "text is counted in characters; the VM counts bytes",
	"duration":   "a duration is milliseconds",
	"conversion": "a conversion that loses the value is an error, and doubles have one text form",
	"types":      "types are checked beforehand, and JSON's values by what they are",
	"names":      "a column may be called as a function is",
	"empty":      "reduce of no elements is null; the VM fails",
	"ours":       "expr has no such function",
}

// TestExpressions reads the manual in testdata. Commands:
//
//	schema            the columns, a line each: name: type
//	rows              the rows, a JSON object each
//	vars              the pipeline's vars, a JSON object
//	eval [differs=x]  an expression; its type and its value for each row
//	filter            an expression; the numbers of the rows kept
//	error             expressions that do not compile, a line each
//	call              texts for Call
func TestExpressions(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := &manual{env: Env{Schema: engine.NewSchema(), Secret: func(n string) (string, bool) { return "s3cret", n == "PII_KEY" }}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "schema":
				m.schema(t, d)
				return ""
			case "rows":
				m.rows = strings.Split(strings.TrimSpace(d.Input), "\n")
				return ""
			case "vars":
				m.vars(t, d)
				return ""
			case "eval":
				return m.eval(t, d)
			case "filter":
				return m.filter(t, d)
			case "error":
				return m.errors(d)
			case "call":
				return m.call(d)
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
		if m.wrong > 0 {
			t.Errorf("%s: %d results differ from the VM's without saying so, or the other way round", path, m.wrong)
		}
	})
}

// undeclared reports a difference, or none, that testdata does not declare:
// in the output, so that -rewrite shows all at once, and as a failure.
func (m *manual) undeclared(out *bytes.Buffer, format string, args ...any) {
	m.wrong++
	fmt.Fprintf(out, "UNDECLARED "+format+"\n", args...)
}

type manual struct {
	wrong int
	env   Env
	rows  []string
	raw   map[string]any // vars for the VM
}

func (m *manual) schema(t *testing.T, d *datadriven.TestData) {
	var fields []engine.Field
	for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
		name, typeName, _ := strings.Cut(line, ": ")
		ft, ok := engine.ParseType(strings.TrimSpace(typeName))
		if !ok {
			d.Fatalf(t, "bad type in %q", line)
		}
		fields = append(fields, engine.Field{Name: name, Type: ft})
	}
	m.env.Schema = engine.NewSchema(fields...)
	m.env.Record = d.HasArg("record")
}

func (m *manual) vars(t *testing.T, d *datadriven.TestData) {
	m.raw = decode(t, d.Input).(map[string]any)
	m.env.Vars = map[string]Value{}
	for name, v := range m.raw {
		m.env.Vars[name] = constOf(v)
	}
}

func constOf(v any) Value {
	switch v := v.(type) {
	case int:
		return IntValue(int64(v))
	case float64:
		return DoubleValue(v)
	case string:
		return StringValue(v)
	case bool:
		return BoolValue(v)
	case []any:
		var items []Value
		for _, e := range v {
			items = append(items, constOf(e))
		}
		return ListValue(items...)
	}
	return Value{}
}

// batch makes columns of the rows; Src carries keys k0, k1, …
func (m *manual) batch(t *testing.T) *engine.Batch {
	n := len(m.rows)
	b := &engine.Batch{Schema: m.env.Schema, N: n, Cols: make([]engine.Column, len(m.env.Schema.Fields))}
	src := &engine.Rows{Topic: "orders", Partition: 3}
	for i := range n {
		b.Sel = append(b.Sel, int32(i))
		src.Offsets = append(src.Offsets, int64(100+i))
		src.Times = append(src.Times, int64(1767261600000+i))
		src.Keys = append(src.Keys, []byte(fmt.Sprintf("k%d", i)))
	}
	src.Headers = func(i int) []engine.Header {
		return []engine.Header{{Key: "trace", Value: []byte("old")}, {Key: "trace", Value: []byte(fmt.Sprintf("t%d", i))}}
	}
	if m.env.Record {
		b.Src = src
	}
	for c, f := range m.env.Schema.Fields {
		col := &b.Cols[c]
		col.Reset(f.Type, n)
		for i, row := range m.rows {
			raw := rawField(row, f.Name)
			if raw == "" || raw == "null" {
				(&scratch{Column: *col}).setNull(int32(i), n)
				col.SetNull(int32(i), n)
				continue
			}
			switch v := decode(t, raw); f.Type {
			case engine.Int, engine.Timestamp:
				col.Ints[i] = int64(v.(int))
			case engine.Double:
				col.Doubles[i] = toFloat(v)
			case engine.Bool:
				col.Bools[i] = v.(bool)
			case engine.Any:
				col.Strs[i] = raw
			default:
				col.Strs[i] = v.(string)
			}
		}
	}
	return b
}

func rawField(row, name string) string {
	if v := memberOf(row, name); v != "" {
		return v
	}
	for _, part := range strings.Split(name, ".") {
		row = memberOf(row, part)
	}
	return row
}

// decode reads JSON with whole numbers as int.
func decode(t testing.TB, s string) any {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return ints64(v)
}

func ints64(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return int(n)
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = ints64(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = ints64(v[k])
		}
	}
	return v
}

func toFloat(v any) float64 {
	if n, ok := v.(int); ok {
		return float64(n)
	}
	return v.(float64)
}

func (m *manual) eval(t *testing.T, d *datadriven.TestData) string {
	p, err := Compile(d.Input, m.env)
	if err != nil {
		return report(d.Input, err)
	}
	b := m.batch(t)
	before := slices.Clone(b.Sel)
	failed := map[int32]error{}
	col, sel, err := p.New().Column(b, b.Cols, b.Sel, func(row int32, err error) error {
		failed[row] = err
		return nil
	})
	if err != nil || !reflect.DeepEqual(before, b.Sel) {
		d.Fatalf(t, "err %v, sel %v", err, b.Sel)
	}
	kind := p.t.String()
	var out bytes.Buffer
	fmt.Fprintln(&out, kind)
	differs := false
	vm := newOracle(t, d.Input, m)
	for i := range b.N {
		ours := any(nil)
		row := int32(i)
		switch {
		case failed[row] != nil:
			fmt.Fprintf(&out, "error: %v\n", failed[row])
			ours = failed[row]
		case p.Type() == engine.Invalid:
			fmt.Fprintln(&out, "null")
		case !slices.Contains(sel, row):
			d.Fatalf(t, "row %d is neither in the selection nor failed", i)
		case p.Type() == engine.Double && !col.Null(row) && (math.IsNaN(col.Doubles[row]) || math.IsInf(col.Doubles[row], 0)):
			fmt.Fprintln(&out, col.Doubles[row])
			ours = col.Doubles[row]
		default:
			text := string(engine.AppendJSON(nil, col, row, engine.ValueStyle{}))
			fmt.Fprintln(&out, text)
			if p.Type() == engine.Bytes {
				text = string(engine.AppendString(nil, col.Strs[row]))
			}
			ours = decode(t, text)
		}
		if col.Type != engine.Invalid && col.Null(row) {
			zero := engine.Column{}
			zero.Reset(col.Type, 1)
			if s := valueAt(&engine.Column{Type: col.Type, Ints: col.Ints, Doubles: col.Doubles, Bools: col.Bools, Strs: col.Strs}, row, p.t); s.num != 0 || s.dbl != 0 || s.text != "" {
				d.Fatalf(t, "the null row %d has the entry %v", i, s)
			}
		}
		theirs, theirErr := vm.run(t, i)
		if !agree(ours, theirs, theirErr) {
			differs = true
			if !d.HasArg("differs") {
				m.undeclared(&out, "row %d: ours %v (%T), the VM's %v (%T), %v", i, ours, ours, theirs, theirs, theirErr)
			}
		}
	}
	if d.HasArg("differs") {
		var why string
		d.ScanArgs(t, "differs", &why)
		if differences[why] == "" {
			d.Fatalf(t, "unknown difference %q", why)
		}
		if !differs {
			m.undeclared(&out, "the VM agrees")
		}
	}
	return out.String()
}

// oracle runs an expression in expr's own VM, row by row.
type oracle struct {
	run func(t *testing.T, i int) (any, error)
}

func newOracle(t *testing.T, text string, m *manual) oracle {
	program, err := exprlang.Compile(text)
	return oracle{func(t *testing.T, i int) (any, error) {
		if err != nil {
			return nil, err
		}
		env := decode(t, m.rows[i]).(map[string]any)
		env["vars"] = m.raw
		v, err := exprlang.Run(program, env)
		return v, err
	}}
}

// agree compares results; errors agree whatever they say.
func agree(ours, theirs any, theirErr error) bool {
	if err, ok := ours.(error); ok || theirErr != nil {
		return err != nil && theirErr != nil
	}
	return reflect.DeepEqual(plain(ours), plain(theirs))
}

// plain makes values comparable: all numbers doubles, all lists []any.
func plain(v any) any {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint8:
		if r.CanInt() {
			return float64(r.Int())
		}
	case reflect.Float64:
		if f := r.Float(); math.IsNaN(f) {
			return "NaN"
		}
		return r.Float()
	case reflect.Slice:
		if b, ok := v.([]byte); ok {
			return string(b)
		}
		list := []any{}
		for i := range r.Len() {
			list = append(list, plain(r.Index(i).Interface()))
		}
		return list
	case reflect.Map:
		m := map[string]any{}
		for _, k := range r.MapKeys() {
			m[fmt.Sprint(k.Interface())] = plain(r.MapIndex(k).Interface())
		}
		return m
	}
	return v
}

func (m *manual) filter(t *testing.T, d *datadriven.TestData) string {
	p, err := Compile(d.Input, m.env)
	if err != nil {
		return report(d.Input, err)
	}
	b := m.batch(t)
	var out bytes.Buffer
	kept, err := p.New().Filter(b, b.Cols, b.Sel, nil, func(row int32, err error) error {
		fmt.Fprintf(&out, "row %d: %v\n", row, err)
		return nil
	})
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	fmt.Fprintln(&out, kept)
	return out.String()
}

func (m *manual) errors(d *datadriven.TestData) string {
	var out bytes.Buffer
	for _, line := range strings.Split(d.Input, "\n") {
		p, err := Compile(line, m.env)
		if err == nil {
			fmt.Fprintf(&out, "%s\nno error, %s\n", line, p.t)
			continue
		}
		out.WriteString(report(line, err))
	}
	return out.String()
}

// report shows a compile error as lint does.
func report(text string, err error) string {
	e, ok := err.(*Error)
	if !ok {
		return "NOT AN *Error: " + err.Error() + "\n"
	}
	if e.Offset < 0 || e.Len < 0 || e.Offset+e.Len > len(text) {
		return fmt.Sprintf("PLACE %d+%d IS OUTSIDE: %s\n", e.Offset, e.Len, e)
	}
	mark := strings.Repeat(" ", len([]rune(text[:e.Offset]))) + strings.Repeat("^", max(1, len([]rune(text[e.Offset:e.Offset+e.Len]))))
	out := text + "\n" + mark + " " + e.Msg + "\n"
	if e.Hint != "" {
		out += "  hint: " + e.Hint + "\n"
	}
	return out
}

func (m *manual) call(d *datadriven.TestData) string {
	var out bytes.Buffer
	for _, line := range strings.Split(d.Input, "\n") {
		fn, args, ok, err := Call(line)
		switch {
		case err != nil:
			out.WriteString(report(line, err))
		case !ok:
			fmt.Fprintf(&out, "%s: not a call\n", line)
		default:
			fmt.Fprintf(&out, "%s(", fn)
			for i, a := range args {
				if i > 0 {
					fmt.Fprint(&out, " | ")
				}
				fmt.Fprintf(&out, "%s @%d", a.Text, a.Offset)
				if line[a.Offset:a.Offset+len(a.Text)] != a.Text {
					fmt.Fprint(&out, " WRONG OFFSET")
				}
			}
			fmt.Fprintln(&out, ")")
		}
	}
	return out.String()
}
