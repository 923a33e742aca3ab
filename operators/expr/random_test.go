package expr

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

var seed = flag.Uint64("seed", 0, "seed of the random tests; 0: from the clock")

// TestRandomExpressions makes expressions up and compares the compiled ones,
// over batches with gaps and nulls, with a reading of the language row by row:
// big numbers, plain Go values, one row at a time.
func TestRandomExpressions(t *testing.T) {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with: go test ./operators/expr -run TestRandomExpressions -seed %d", s)
	g := &generator{rand.New(rand.NewPCG(s, 1))}
	for range 1500 {
		want := g.expr([]byte("idsbt")[g.IntN(5)], 1+g.IntN(4))
		p, err := Compile(want.text, Env{Schema: randomSchema})
		if err != nil {
			t.Fatalf("seed %d: %s: %v", s, want.text, err)
		}
		e := p.New()
		for range 2 {
			b, rows := g.batch()
			compareColumn(t, s, e, p, want, b, rows)
			if p.t == tBool {
				compareFilter(t, s, e, want, b, rows)
			}
		}
	}
}

var randomSchema = engine.NewSchema(
	engine.Field{Name: "i", Type: engine.Int}, engine.Field{Name: "k", Type: engine.Int},
	engine.Field{Name: "d", Type: engine.Double}, engine.Field{Name: "e", Type: engine.Double},
	engine.Field{Name: "s", Type: engine.String}, engine.Field{Name: "u", Type: engine.String},
	engine.Field{Name: "b", Type: engine.Bool}, engine.Field{Name: "c", Type: engine.Bool},
	engine.Field{Name: "t", Type: engine.Timestamp}, engine.Field{Name: "v", Type: engine.Timestamp})

// A row holds int64, float64, string, bool or nil by column; times are int64.
type row map[string]any

// sample is an expression made up: its text, and what it gives for a row.
type sample struct {
	text string
	eval func(r row) (any, error)
}

var errRow = errors.New("expression error")

type generator struct{ *rand.Rand }

func (g *generator) batch() (*engine.Batch, []row) {
	n := 1 + g.IntN(40)
	b := &engine.Batch{Schema: randomSchema, N: n, Cols: make([]engine.Column, len(randomSchema.Fields))}
	rows := make([]row, n)
	nulls := []float64{0, 0.3, 1}[g.IntN(3)]
	for i := range n {
		rows[i] = row{}
		if g.Float64() < 0.7 {
			b.Sel = append(b.Sel, int32(i))
		}
	}
	for c, f := range randomSchema.Fields {
		col := &b.Cols[c]
		col.Reset(f.Type, n)
		for i := range n {
			var v any
			switch f.Type {
			case engine.Int, engine.Timestamp:
				col.Ints[i] = g.int()
				v = col.Ints[i]
			case engine.Double:
				col.Doubles[i] = g.double()
				v = col.Doubles[i]
			case engine.String:
				col.Strs[i] = g.string()
				v = col.Strs[i]
			case engine.Bool:
				col.Bools[i] = g.IntN(2) == 0
				v = col.Bools[i]
			}
			if g.Float64() < nulls {
				sc := scratch{Column: *col, spare: col.Nulls}
				sc.setNull(int32(i), n)
				*col = sc.Column
				v = nil
			}
			rows[i][f.Name] = v
		}
	}
	return b, rows
}

func (g *generator) int() int64 {
	edge := []int64{0, 1, -1, 2, 3, 7, -5, math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1, 1 << 31, 1 << 32}
	return edge[g.IntN(len(edge))]
}

func (g *generator) double() float64 {
	edge := []float64{0, 1, -1, 0.5, -2.25, 1e300, 1 << 53, math.MaxInt64, math.MinInt64, math.Inf(1), math.NaN(), 3}
	return edge[g.IntN(len(edge))]
}

func (g *generator) string() string {
	return []string{"", "a", "b", "ab", "grüß", "ok", "世界", "aab"}[g.IntN(8)]
}

// expr makes an expression of type i(nt), d(ouble), s(tring), b(ool) or t(ime).
func (g *generator) expr(kind byte, depth int) sample {
	if depth == 0 || g.IntN(8) == 0 {
		return g.leaf(kind)
	}
	sub := func(k byte) sample { return g.expr(k, depth-1) }
	switch g.IntN(10) {
	case 0, 1: // c ? a : b, null taking b
		c, x, y := sub('b'), sub(kind), sub(kind)
		return sample{fmt.Sprintf("(%s ? %s : %s)", c.text, x.text, y.text), func(r row) (any, error) {
			v, err := c.eval(r)
			if err != nil {
				return nil, err
			}
			if v == true {
				return x.eval(r)
			}
			return y.eval(r)
		}}
	case 2:
		x, y := sub(kind), sub(kind)
		return sample{fmt.Sprintf("(%s) ?? (%s)", x.text, y.text), func(r row) (any, error) {
			if v, err := x.eval(r); v != nil || err != nil {
				return v, err
			}
			return y.eval(r)
		}}.bracket()
	case 3:
		x := sub(kind)
		name := fmt.Sprintf("x%d", g.IntN(1e9))
		y := sub(kind)
		return sample{fmt.Sprintf("(let %s = %s; %s ?? (%s))", name, x.text, name, y.text), func(r row) (any, error) {
			if v, err := x.eval(r); v != nil || err != nil {
				return v, err
			}
			return y.eval(r)
		}}
	}
	switch kind {
	case 'i':
		return g.intExpr(sub)
	case 'd':
		return g.doubleExpr(sub)
	case 's':
		return g.textExpr(sub)
	case 't':
		x, y := sub('t'), sub('i')
		op := []string{"+", "-"}[g.IntN(2)]
		return strict2(fmt.Sprintf("(%s %s %s)", x.text, op, y.text), x, y, func(a, b any) (any, error) {
			return exactInt(op, a.(int64), b.(int64))
		})
	}
	return g.boolExpr(sub)
}

func (s sample) bracket() sample { return sample{"(" + s.text + ")", s.eval} }

func (g *generator) leaf(kind byte) sample {
	names := map[byte][]string{'i': {"i", "k"}, 'd': {"d", "e"}, 's': {"s", "u"}, 'b': {"b", "c"}, 't': {"t", "v"}}[kind]
	if kind == 't' || g.IntN(3) > 0 {
		name := names[g.IntN(2)]
		return sample{name, func(r row) (any, error) { return r[name], nil }}
	}
	var v any
	text := ""
	switch kind {
	case 'i':
		n := max(g.int(), -1<<31)
		v, text = n, fmt.Sprint(n)
	case 'd':
		n := []float64{0, 0.5, 2, 1e10}[g.IntN(4)]
		v, text = n, fmt.Sprintf("%.1f", n)
	case 's':
		n := g.string()
		v, text = n, fmt.Sprintf("%q", n)
	case 'b':
		n := g.IntN(2) == 0
		v, text = n, fmt.Sprint(n)
	}
	return sample{text, func(row) (any, error) { return v, nil }}
}

// strict1 and strict2 are null where an argument is.
func strict1(text string, x sample, f func(a any) (any, error)) sample {
	return sample{text, func(r row) (any, error) {
		a, err := x.eval(r)
		if a == nil || err != nil {
			return nil, err
		}
		return f(a)
	}}
}

func strict2(text string, x, y sample, f func(a, b any) (any, error)) sample {
	return sample{text, func(r row) (any, error) {
		a, err := x.eval(r)
		if err != nil {
			return nil, err
		}
		b, err := y.eval(r)
		if a == nil || b == nil || err != nil {
			return nil, err
		}
		return f(a, b)
	}}
}

func exactInt(op string, a, b int64) (any, error) {
	x, y, z := big.NewInt(a), big.NewInt(b), new(big.Int)
	switch op {
	case "+":
		z.Add(x, y)
	case "-":
		z.Sub(x, y)
	case "*":
		z.Mul(x, y)
	default:
		if b == 0 {
			return nil, errRow
		}
		if op == "%" {
			z.Rem(x, y)
		} else {
			z.Quo(x, y)
		}
	}
	if !z.IsInt64() {
		return nil, errRow
	}
	return z.Int64(), nil
}

func (g *generator) intExpr(sub func(byte) sample) sample {
	switch g.IntN(6) {
	case 0:
		x := sub('s')
		return strict1("len("+x.text+")", x, func(a any) (any, error) { return int64(utf8.RuneCountInString(a.(string))), nil })
	case 1:
		x := sub('d')
		return strict1("int("+x.text+")", x, func(a any) (any, error) {
			f := new(big.Float)
			if d := a.(float64); math.IsNaN(d) || math.IsInf(d, 0) {
				return nil, errRow
			} else {
				f.SetFloat64(d)
			}
			if z, _ := f.Int(nil); z.IsInt64() {
				return z.Int64(), nil
			}
			return nil, errRow
		})
	case 2:
		x, y := sub('t'), sub('t')
		return strict2(fmt.Sprintf("(%s - %s)", x.text, y.text), x, y, func(a, b any) (any, error) { return exactInt("-", a.(int64), b.(int64)) })
	case 3:
		x := sub('i')
		return strict1("(-"+x.bracket().text+")", x, func(a any) (any, error) { return exactInt("-", 0, a.(int64)) })
	}
	x, y := sub('i'), sub('i')
	op := []string{"+", "-", "*", "%", "div"}[g.IntN(5)]
	text := fmt.Sprintf("(%s %s %s)", x.text, op, y.text)
	if op == "div" {
		text = fmt.Sprintf("div(%s, %s)", x.text, y.text)
	}
	return strict2(text, x, y, func(a, b any) (any, error) { return exactInt(op, a.(int64), b.(int64)) })
}

func (g *generator) doubleExpr(sub func(byte) sample) sample {
	x, y := sub("id"[g.IntN(2)]), sub('d')
	if g.IntN(2) == 0 {
		x, y = y, x
	}
	op := []string{"+", "-", "*", "/"}[g.IntN(4)]
	return strict2(fmt.Sprintf("(%s %s %s)", x.text, op, y.text), x, y, func(a, b any) (any, error) {
		p, q := asDouble(a), asDouble(b)
		switch op {
		case "+":
			return p + q, nil
		case "-":
			return p - q, nil
		case "*":
			return p * q, nil
		}
		if q == 0 {
			return nil, errRow
		}
		return p / q, nil
	})
}

func asDouble(v any) float64 {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	return v.(float64)
}

func (g *generator) textExpr(sub func(byte) sample) sample {
	x := sub('s')
	switch g.IntN(3) {
	case 0:
		y := sub('s')
		return strict2(fmt.Sprintf("(%s + %s)", x.text, y.text), x, y, func(a, b any) (any, error) { return a.(string) + b.(string), nil })
	case 1:
		from, to := g.IntN(7)-3, g.IntN(7)-3
		return strict1(fmt.Sprintf("%s[%d:%d]", x.bracket().text, from, to), x, func(a any) (any, error) {
			r := []rune(a.(string))
			place := func(p int) int {
				if p < 0 {
					p += len(r)
				}
				return min(max(p, 0), len(r))
			}
			return string(r[min(place(from), place(to)):place(to)]), nil
		})
	}
	return strict1("upper("+x.text+")", x, func(a any) (any, error) { return strings.ToUpper(a.(string)), nil })
}

func (g *generator) boolExpr(sub func(byte) sample) sample {
	switch g.IntN(7) {
	case 0:
		x := sub('b')
		return strict1("(not "+x.bracket().text+")", x, func(a any) (any, error) { return a == false, nil })
	case 1:
		x := sub("idsbt"[g.IntN(5)])
		return sample{fmt.Sprintf("((%s) == nil)", x.text), func(r row) (any, error) {
			v, err := x.eval(r)
			return v == nil, err
		}}
	case 2:
		x := sub('i')
		items := []int64{g.int(), 1, 3, 5, max(g.int(), -5)}[g.IntN(4):]
		items = slices.DeleteFunc(items, func(n int64) bool { return n == math.MinInt64 })
		return strict1(fmt.Sprintf("(%s in %s)", x.text, strings.ReplaceAll(fmt.Sprint(items), " ", ", ")), x, func(a any) (any, error) {
			return slices.Contains(items, a.(int64)), nil
		})
	case 3, 4:
		return g.logicExpr(sub('b'), sub('b'))
	case 5:
		x, y := sub('s'), sub('s')
		op := []string{"contains", "startsWith", "endsWith"}[g.IntN(3)]
		return strict2(fmt.Sprintf("(%s %s %s)", x.text, op, y.text), x, y, func(a, b any) (any, error) {
			p, q := a.(string), b.(string)
			return map[string]bool{"contains": strings.Contains(p, q), "startsWith": strings.HasPrefix(p, q), "endsWith": strings.HasSuffix(p, q)}[op], nil
		})
	}
	kinds := []string{"ii", "dd", "id", "di", "ss", "tt"}[g.IntN(6)]
	x, y := sub(kinds[0]), sub(kinds[1])
	op := []string{"==", "!=", "<", "<=", ">", ">="}[g.IntN(6)]
	return strict2(fmt.Sprintf("(%s %s %s)", x.text, op, y.text), x, y, func(a, b any) (any, error) {
		if s, ok := a.(string); ok {
			return orders[op].of(strings.Compare(s, b.(string))), nil
		}
		p, okP := exactNumber(a)
		q, okQ := exactNumber(b)
		if !okP || !okQ {
			return op == "!=", nil
		}
		return orders[op].of(p.Cmp(q)), nil
	})
}

// exactNumber is a number without rounding; a NaN is none.
func exactNumber(v any) (*big.Float, bool) {
	if n, ok := v.(int64); ok {
		return new(big.Float).SetPrec(200).SetInt64(n), true
	}
	d := v.(float64)
	if math.IsNaN(d) {
		return nil, false
	}
	return new(big.Float).SetPrec(200).SetFloat64(d), true
}

func (g *generator) logicExpr(x, y sample) sample {
	op := []string{"and", "or"}[g.IntN(2)]
	decides := op == "or"
	return sample{fmt.Sprintf("(%s %s %s)", x.text, op, y.text), func(r row) (any, error) {
		a, err := x.eval(r)
		if err != nil {
			return nil, err
		}
		if a == decides {
			return decides, nil
		}
		b, err := y.eval(r)
		switch {
		case err != nil:
			return nil, err
		case b == decides:
			return decides, nil
		case a == nil || b == nil:
			return nil, nil
		}
		return !decides, nil
	}}
}

func compareColumn(t *testing.T, seed uint64, e *Eval, p *Program, want sample, b *engine.Batch, rows []row) {
	t.Helper()
	before := slices.Clone(b.Sel)
	failed := map[int32]bool{}
	col, sel, err := e.Column(b, b.Cols, b.Sel, func(row int32, _ error) error {
		if failed[row] {
			t.Fatalf("seed %d: %s: row %d is reported twice", seed, want.text, row)
		}
		failed[row] = true
		return nil
	})
	if err != nil || !slices.Equal(before, b.Sel) {
		t.Fatalf("seed %d: %s: %v, selection %v was %v", seed, want.text, err, b.Sel, before)
	}
	for _, i := range b.Sel {
		v, err := want.eval(rows[i])
		if (err != nil) != failed[i] || failed[i] == slices.Contains(sel, i) {
			t.Fatalf("seed %d: %s: row %v: error %v, but failed is %v", seed, want.text, rows[i], err, failed[i])
		}
		if err != nil {
			continue
		}
		if p.Type() == engine.Invalid {
			if v != nil {
				t.Fatalf("seed %d: %s: always null, but %v", seed, want.text, v)
			}
			continue
		}
		got := any(nil)
		switch p.Type() {
		case engine.Int, engine.Timestamp:
			got = col.Ints[i]
		case engine.Double:
			got = col.Doubles[i]
		case engine.Bool:
			got = col.Bools[i]
		case engine.String:
			got = col.Strs[i]
		}
		if n, ok := v.(int64); ok && p.Type() == engine.Double {
			v = float64(n)
		}
		if v == nil && (!col.Null(i) || !isZero(got)) || v != nil && (col.Null(i) || got != v && !(got != got && v != v)) {
			t.Fatalf("seed %d: %s\nrow %v: %v (null %v), want %v", seed, want.text, rows[i], got, col.Null(i), v)
		}
	}
}

func isZero(v any) bool { return v == int64(0) || v == 0.0 || v == "" || v == false }

func compareFilter(t *testing.T, seed uint64, e *Eval, want sample, b *engine.Batch, rows []row) {
	t.Helper()
	failed := map[int32]bool{}
	kept, err := e.Filter(b, b.Cols, b.Sel, nil, func(row int32, _ error) error { failed[row] = true; return nil })
	if err != nil {
		t.Fatalf("seed %d: %s: %v", seed, want.text, err)
	}
	for _, i := range b.Sel {
		v, err := want.eval(rows[i])
		if (err != nil) != failed[i] || slices.Contains(kept, i) != (err == nil && v == true) {
			t.Fatalf("seed %d: filter %s\nrow %v: %v, %v; failed %v, kept %v", seed, want.text, rows[i], v, err, failed[i], slices.Contains(kept, i))
		}
	}
}
