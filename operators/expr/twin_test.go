package expr

import (
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	exprlang "github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/leatstream/leat/engine"
)

var twins = flag.Int("twins", 3000, "how many expressions TestTwin makes up")

// TestTwin makes typed expressions up and computes each twice: compiled, over
// columns, and by expr's own VM, row by row. Where the two disagree, the part
// of the expression is looked for whose arguments agree and whose results do
// not: it must be one of deviations. A difference with no reason is a defect.
func TestTwin(t *testing.T) {
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with: go test ./operators/expr -run TestTwin -seed %d -twins %d", s, *twins)
	g := &twinGenerator{generator{rand.New(rand.NewPCG(s, 2))}}
	pool := make([]*twinRows, 40)
	for i := range pool {
		pool[i] = g.rows()
	}
	seen := map[string]int{}
	same := 0
	for range *twins {
		x := g.grow("idsbtIS"[g.IntN(7)], 1+g.IntN(4))
		rows := pool[g.IntN(len(pool))]
		j := judge{t: t, seed: s, rows: rows, seen: seen, memo: map[string]*outcomes{}}
		agree := true
		for i := range rows.b.N {
			agree = j.agrees(x, i) && agree
			if t.Failed() {
				return
			}
		}
		if agree {
			same++
		}
	}
	t.Logf("%d of %d agree in every row; the others differ by %v", same, *twins, seen)
	if same < *twins/10 {
		t.Errorf("only %d of %d expressions agree: the test looks at nothing", same, *twins)
	}
	for _, d := range deviations {
		if *twins >= 200000 && d.reason != "stable" && seen[d.reason] == 0 {
			t.Errorf("no expression differed by %q: %s", d.reason, d.why)
		}
	}
}

// twig is an expression made up: an operation over others. Predicates of list
// functions stand in text only; their columns are among args.
type twig struct {
	op   string
	kind byte // i(nt) d(ouble) s(tring) b(ool) t(imestamp), I [int], S [string]
	text string
	args []*twig
}

// outcome is what one side gives for a row.
type outcome struct {
	v   any // int64 float64 string bool []any nil
	err error
}

type outcomes struct{ ours, theirs []outcome }

// deviation is a reason for the two to differ, from agreeing arguments (ours).
type deviation struct {
	reason, why string
	holds       func(x *twig, args []any, ours, theirs outcome) bool
}

var deviations = []deviation{
	{"null", "null makes null and three-valued logic; the VM fails, or takes nil for a value", func(_ *twig, args []any, _, _ outcome) bool {
		return hasNull(args)
	}},
	{"overflow", "int overflow is an error; the VM wraps", func(x *twig, args []any, ours, _ outcome) bool {
		return ours.err != nil && overflows(x.op, args)
	}},
	{"division", "division by zero is an error; the VM gives an infinity or NaN", func(x *twig, args []any, ours, _ outcome) bool {
		return x.op == "/" && ours.err != nil && asDouble(args[1]) == 0
	}},
	{"exact", "int and double compare exactly; the VM rounds the int to a double", func(x *twig, args []any, ours, _ outcome) bool {
		_, compares := orders[x.op]
		if !compares || len(args) != 2 {
			return false
		}
		p, okP := exactNumber(args[0])
		q, okQ := exactNumber(args[1])
		return okP && okQ && mixed(args) && ours.v == orders[x.op].of(p.Cmp(q))
	}},
	{"double", "an int beside a double becomes one; the VM keeps it an int, and compares it rounded", func(x *twig, args []any, ours, theirs outcome) bool {
		n, ok := theirs.v.(int64)
		d, isDouble := ours.v.(float64)
		return ok && isDouble && x.kind == 'd' && d == float64(n)
	}},
	{"characters", "text is counted in characters; the VM counts bytes, and gives s[i] as a number", func(x *twig, args []any, _, theirs outcome) bool {
		switch x.op {
		case "slice", "indexOf", "lastIndexOf":
			return !ascii(args)
		case "s[i]":
			return true
		}
		return false
	}},
	{"conversion", "a conversion that loses the value is an error, and doubles have one text form", func(x *twig, args []any, ours, theirs outcome) bool {
		switch x.op {
		case "int(d)":
			d := args[0].(float64)
			return ours.err != nil && !(d >= -(1<<63) && d < 1<<63)
		case "string(d)":
			a, okA := ours.v.(string)
			b, okB := theirs.v.(string)
			p, errP := strconv.ParseFloat(a, 64)
			q, errQ := strconv.ParseFloat(b, 64)
			return okA && okB && errP == nil && errQ == nil && (p == q || p != p && q != q)
		}
		return false
	}},
	{"index", "what is not there is null; the VM fails", func(x *twig, _ []any, ours, theirs outcome) bool {
		return x.op == "[]" && ours.v == nil && ours.err == nil && theirs.err != nil
	}},
	{"place", "#index stands in every list function; the VM has it in reduce", func(x *twig, _ []any, ours, theirs outcome) bool {
		return strings.Contains(x.text, "#index") && x.op != "reduce from" && theirs.err != nil
	}},
	{"stable", "sortBy is stable; the VM's is not beyond 12 elements", func(x *twig, args []any, ours, theirs outcome) bool {
		a, okA := ours.v.([]any)
		b, okB := theirs.v.([]any)
		byText := func(p, q any) int { return strings.Compare(fmt.Sprint(p), fmt.Sprint(q)) }
		return x.op == "sortBy" && okA && okB && len(a) > 12 && sameValue(slices.SortedFunc(slices.Values(a), byText), slices.SortedFunc(slices.Values(b), byText))
	}},
	{"NaN", "min and max have a NaN below all numbers; the VM's depend on the order of arguments", func(x *twig, args []any, _, _ outcome) bool {
		return (x.op == "min" || x.op == "max") && slices.ContainsFunc(args, func(a any) bool { return a != a })
	}},
	{"nothing", "concat of empty lists and split(s, x, 0) are empty lists; the VM takes them for nil", func(x *twig, args []any, _, _ outcome) bool {
		return (x.op == "??" || x.op == "nil") && emptyIsNil(x.args[0].text) && reflect.DeepEqual(args[0], []any{})
	}},
	{"empty", "mean, median, min, max and reduce of no elements are null; the VM gives 0, or fails", func(x *twig, args []any, ours, _ outcome) bool {
		switch x.op {
		case "mean", "median", "min", "max", "reduce":
			return reflect.DeepEqual(args[0], []any{}) && ours.v == nil && ours.err == nil
		}
		return false
	}},
}

func emptyIsNil(text string) bool {
	return strings.Contains(text, "concat(") || strings.Contains(text, "split(")
}

func hasNull(args []any) bool {
	for _, a := range args {
		if list, ok := a.([]any); a == nil || ok && hasNull(list) {
			return true
		}
	}
	return false
}

func mixed(args []any) bool { return reflect.TypeOf(args[0]) != reflect.TypeOf(args[1]) }

func ascii(args []any) bool {
	for _, a := range args {
		if s, ok := a.(string); ok && len(s) != len([]rune(s)) {
			return false
		}
	}
	return true
}

// overflows computes with big numbers what an operation on ints gives.
func overflows(op string, args []any) bool {
	switch op {
	case "+", "-", "*":
		a, okA := args[0].(int64)
		b, okB := args[1].(int64)
		if !okA || !okB {
			return false
		}
		_, err := exactInt(op, a, b)
		return err != nil
	case "neg", "abs":
		return args[0] == int64(math.MinInt64)
	case "sum": // a part of it may not fit, though all of it would
		up, down := big.NewInt(0), big.NewInt(0)
		for _, e := range args[0].([]any) {
			if n := big.NewInt(e.(int64)); n.Sign() > 0 {
				up.Add(up, n)
			} else {
				down.Add(down, n)
			}
		}
		return !up.IsInt64() || !down.IsInt64()
	}
	return false
}

// judge compares the two sides of an expression and of its parts.
type judge struct {
	t    *testing.T
	seed uint64
	rows *twinRows
	seen map[string]int
	memo map[string]*outcomes
}

// agrees compares row i. Where it differs with a reason it is false.
func (j *judge) agrees(x *twig, i int) bool {
	o := j.both(x.text)
	if j.t.Failed() {
		return false
	}
	ours, theirs := o.ours[i], o.theirs[i]
	if (ours.err != nil) == (theirs.err != nil) && (ours.err != nil || sameValue(ours.v, theirs.v)) {
		return true
	}
	args := make([]any, len(x.args))
	agree := true
	for n, a := range x.args {
		agree = j.agrees(a, i) && agree
		if j.t.Failed() {
			return false
		}
		part := j.both(a.text).ours[i]
		_, int64s := j.both(a.text).theirs[i].v.(int64)
		if _, double := part.v.(float64); double && int64s { // equal, but what follows differs
			j.seen["double"]++
			agree = false
		}
		if d, ok := j.both(a.text).theirs[i].v.(float64); ok && d == 0 && part.v == 0.0 && math.Signbit(d) != math.Signbit(part.v.(float64)) {
			j.seen["zero"]++ // the VM's abs(-0.0) is -0.0
			agree = false
		}
		if part.err != nil { // and theirs: what follows is not reached, or decides
			agree = false
		}
		args[n] = part.v
	}
	if !agree {
		return false
	}
	for _, d := range deviations {
		if d.holds(x, args, ours, theirs) {
			j.seen[d.reason]++
			return false
		}
	}
	j.t.Errorf("seed %d: %s (%s)\nrow %v\narguments %v\nours   %T %v, error %v\ntheirs %T %v, error %v", j.seed, x.text, x.op, j.rows.env[i], args, ours.v, ours.v, ours.err, theirs.v, theirs.v, theirs.err)
	return false
}

// both computes all rows on both sides.
func (j *judge) both(text string) *outcomes {
	if o := j.memo[text]; o != nil {
		return o
	}
	o := &outcomes{make([]outcome, j.rows.b.N), make([]outcome, j.rows.b.N)}
	j.memo[text] = o
	p, err := Compile(text, Env{Schema: twinSchema, Lists: map[string]engine.Type{"l": engine.Int, "w": engine.String}})
	if err != nil {
		j.t.Errorf("seed %d: %s: %v", j.seed, text, err)
		return o
	}
	b := j.rows.b
	col, _, err := p.New().Column(b, b.Cols, b.Sel, func(row int32, err error) error {
		o.ours[row].err = err
		return nil
	})
	if err != nil {
		j.t.Errorf("seed %d: %s: %v", j.seed, text, err)
		return o
	}
	for i := range b.N {
		if o.ours[i].err == nil && p.Type() != engine.Invalid {
			o.ours[i].v = goValue(col, int32(i), p.t)
		}
	}
	program, err := exprlang.Compile(text, exprlang.Optimize(false))
	for i := range b.N {
		if err != nil {
			o.theirs[i].err = err
			continue
		}
		v, err := (&vm.VM{}).Run(program, j.rows.env[i])
		o.theirs[i] = outcome{canonicalValue(v), err}
	}
	return o
}

func goValue(c *engine.Column, i int32, t typ) any {
	if c.Null(i) {
		return nil
	}
	switch v := valueAt(c, i, t); {
	case t.k == engine.Int || t.k == engine.Timestamp:
		return v.num
	case t.k == engine.Double:
		return v.dbl
	case t.k == engine.Bool:
		return v.num != 0
	case t.list():
		list := []any{}
		elements(v.text, func(e string) bool {
			switch it := scalar(e); it.Type {
			case engine.Int:
				list = append(list, it.num)
			case engine.Double:
				list = append(list, it.dbl)
			case engine.String:
				list = append(list, it.text)
			case engine.Bool:
				list = append(list, it.num != 0)
			default:
				list = append(list, nil)
			}
			return true
		})
		return list
	default:
		return v.text
	}
}

func canonicalValue(v any) any {
	r := reflect.ValueOf(v)
	switch {
	case r.CanInt():
		return r.Int()
	case r.CanUint():
		return int64(r.Uint())
	case r.Kind() == reflect.Slice:
		list := []any{}
		for i := range r.Len() {
			list = append(list, canonicalValue(r.Index(i).Interface()))
		}
		return list
	}
	return v
}

// sameValue compares without rounding; int and double may be the same number.
func sameValue(a, b any) bool {
	p, okA := a.([]any)
	q, okB := b.([]any)
	if okA || okB {
		if !okA || !okB || len(p) != len(q) {
			return false
		}
		for i := range p {
			if !sameValue(p[i], q[i]) {
				return false
			}
		}
		return true
	}
	if isNumber(a) && isNumber(b) {
		x, okX := exactNumber(a)
		y, okY := exactNumber(b)
		return okX == okY && (!okX || x.Cmp(y) == 0)
	}
	return a == b
}

func isNumber(v any) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}

var twinSchema = engine.NewSchema(append(append([]engine.Field{}, randomSchema.Fields...),
	engine.Field{Name: "l", Type: engine.Any}, engine.Field{Name: "w", Type: engine.Any})...)

// twinRows are the same rows for both sides.
type twinRows struct {
	b   *engine.Batch
	env []map[string]any
}

type twinGenerator struct{ generator }

func (g *twinGenerator) int() int64 {
	switch g.IntN(3) {
	case 0:
		return int64(g.IntN(21) - 10)
	case 1: // about 2^53 and the ends
		return []int64{1 << 53, -(1 << 53), math.MaxInt64, math.MinInt64, 1 << 62, 1 << 31}[g.IntN(6)] + int64(g.IntN(5)-2)
	}
	return g.generator.int()
}

func (g *twinGenerator) double() float64 {
	switch g.IntN(4) {
	case 0:
		return float64(g.IntN(41)-20) / 4
	case 1:
		return float64(g.int())
	case 2:
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, 5e-324, 1e20, 1e21, 0.1, 1e-7}[g.IntN(10)]
	}
	return g.generator.double()
}

func (g *twinGenerator) string() string {
	if g.IntN(2) == 0 {
		return g.generator.string()
	}
	return []string{"a,b", ",", " x ", "12", "-3", "1.5", "ÄÖ", "e\u0301", "👩‍🚀", "ß", "ǅ", "A", "\t", "a\"\\", "aaaa"}[g.IntN(15)]
}

func (g *twinGenerator) rows() *twinRows {
	n := 1 + g.IntN(8)
	r := &twinRows{b: &engine.Batch{Schema: twinSchema, N: n, Cols: make([]engine.Column, len(twinSchema.Fields))}}
	nulls := []float64{0, 0, 0.1, 0.5}[g.IntN(4)]
	for i := range n {
		r.b.Sel = append(r.b.Sel, int32(i))
		r.env = append(r.env, map[string]any{})
	}
	for c, f := range twinSchema.Fields {
		col := &r.b.Cols[c]
		col.Reset(f.Type, n)
		for i := range n {
			var v any
			switch {
			case g.Float64() < nulls:
				col.SetNull(int32(i), n)
			case f.Type == engine.Int || f.Type == engine.Timestamp:
				col.Ints[i] = g.int()
				v = int(col.Ints[i])
			case f.Type == engine.Double:
				col.Doubles[i] = g.double()
				v = col.Doubles[i]
			case f.Type == engine.Bool:
				col.Bools[i] = g.IntN(2) == 0
				v = col.Bools[i]
			case f.Type == engine.String:
				col.Strs[i] = g.string()
				v = col.Strs[i]
			default:
				list := []any{}
				json := []byte{'['}
				for range g.IntN(6) {
					if len(list) > 0 {
						json = append(json, ", "...)
					}
					switch {
					case g.Float64() < nulls/4:
						list, json = append(list, nil), append(json, "null"...)
					case f.Name == "l":
						k := g.int()
						list, json = append(list, int(k)), strconv.AppendInt(json, k, 10)
					default:
						s := g.string()
						list, json = append(list, s), engine.AppendString(json, s)
					}
				}
				col.Strs[i] = string(append(json, ']'))
				v = list
			}
			r.env[i][f.Name] = v
		}
	}
	return r
}

// grow makes an expression of a kind.
func (g *twinGenerator) grow(kind byte, depth int) *twig {
	if depth == 0 || g.IntN(9) == 0 {
		return g.bud(kind)
	}
	sub := func(k byte) *twig { return g.grow(k, depth-1) }
	if g.IntN(7) == 0 {
		return g.choice(kind, sub)
	}
	shapes := twinShapes[kind]
	shape := shapes[g.IntN(len(shapes))]
	return g.fill(kind, shape, sub)
}

// choice is what any kind has: ?:, ??, let.
func (g *twinGenerator) choice(kind byte, sub func(byte) *twig) *twig {
	other := kind
	if kind == 'd' && g.IntN(2) == 0 {
		other = 'i'
	}
	x := &twig{kind: kind}
	switch g.IntN(3) {
	case 0:
		x.op, x.args = "?:", []*twig{sub('b'), sub(kind), sub(other)}
		x.text = fmt.Sprintf("(%s ? %s : %s)", x.args[0].text, x.args[1].text, x.args[2].text)
	case 1:
		x.op, x.args = "??", []*twig{sub(kind), sub(other)}
		x.text = fmt.Sprintf("((%s) ?? (%s))", x.args[0].text, x.args[1].text)
	default:
		x.op, x.args = "let", []*twig{sub(kind), sub('b')}
		name := fmt.Sprintf("x%d", g.IntN(1e9))
		x.text = fmt.Sprintf("(let %s = %s; %s ? %s : %s)", name, x.args[0].text, x.args[1].text, name, name)
	}
	return x
}

// bud is a column or a literal.
func (g *twinGenerator) bud(kind byte) *twig {
	names := map[byte][]string{'i': {"i", "k"}, 'd': {"d", "e"}, 's': {"s", "u"}, 'b': {"b", "c"}, 't': {"t", "v"}, 'I': {"l"}, 'S': {"w"}}[kind]
	text := names[g.IntN(len(names))]
	if kind != 't' && g.IntN(3) == 0 {
		switch kind {
		case 'i':
			text = fmt.Sprint(max(g.int(), -math.MaxInt64))
		case 'd':
			text = fmt.Sprintf("%.2f", float64(g.IntN(41)-20)/4)
		case 's':
			text = strconv.Quote(g.string())
		case 'b':
			text = fmt.Sprint(g.IntN(2) == 0)
		case 'I':
			text = fmt.Sprintf("[%d, %d, 3]", g.IntN(5), max(g.int(), -math.MaxInt64))
		case 'S':
			text = fmt.Sprintf("[%q, %q]", g.string(), g.string())
		}
	}
	if strings.HasPrefix(text, "-") {
		text = "(" + text + ")"
	}
	return &twig{op: "leaf", kind: kind, text: text}
}

// fill makes an expression by a shape, "op | text". In the text
//
//	$i $d $s $b $t $I $S   is an expression of this kind
//	@i @s @d               a column, also within a predicate
//	%n %p                  a small number from -3 to 3, from 0 to 3
//	%s                     a text literal
func (g *twinGenerator) fill(kind byte, shape string, sub func(byte) *twig) *twig {
	op, form, _ := strings.Cut(shape, " | ")
	x := &twig{op: op, kind: kind}
	var out strings.Builder
	for i := 0; i < len(form); i++ {
		if i+1 == len(form) || !strings.ContainsRune("$@%", rune(form[i])) || !strings.ContainsRune("idsbtISnp", rune(form[i+1])) {
			out.WriteByte(form[i])
			continue
		}
		i++
		switch form[i-1] {
		case '$':
			x.args = append(x.args, sub(form[i]))
		case '@':
			x.args = append(x.args, g.column(form[i]))
		default:
			switch form[i] {
			case 'n':
				fmt.Fprint(&out, g.IntN(7)-3)
			case 'p':
				fmt.Fprint(&out, g.IntN(4))
			case 's':
				out.WriteString(strconv.Quote(g.string()))
			}
			continue
		}
		out.WriteString(x.args[len(x.args)-1].text)
	}
	x.text = "(" + out.String() + ")"
	return x
}

func (g *twinGenerator) column(kind byte) *twig {
	names := map[byte][]string{'i': {"i", "k"}, 'd': {"d", "e"}, 's': {"s", "u"}}[kind]
	return &twig{op: "leaf", kind: kind, text: names[g.IntN(2)]}
}

// twinShapes are the operations of each kind. findLast and findLastIndex are
// not among them: expr's checker takes their results for bools. For a like
// reason (it makes last(filter(…)) findLast) its optimizer is off.
var twinShapes = map[byte][]string{
	'i': {
		"+ | $i + $i", "- | $i - $i", "* | $i * $i", "% | $i % $i", "neg | -$i", "+ | +$i", "- | $t - $t",
		"len | len($s)", "len | len($I)", "len | len($S)", "abs | abs($i)", "int(d) | int($d)", "int(s) | int($s)", "int | int($i)",
		"indexOf | indexOf($s, $s)", "lastIndexOf | lastIndexOf($s, $s)", "max | max($i, $i)", "min | min($i, $i, %n)",
		"sum | sum($I)", "sum of | sum($I, # % 1000)", "count | count($I, # > @i)", "count | count($S, # contains @s)",
		"reduce | reduce($I, #acc % 1000 * 7 + # % 10)", "reduce from | reduce($I, #acc * 3 % 100 + # % 10 + #index, %p)",
		"max | max($I)", "min | min($I)", "first | first($I)", "last | last($I)", "[] | $I[%n]", "get | get($I, %n)",
		"find | find($I, # < @i)", "findIndex | findIndex($I, # == @i)",
		"bit | bitand($i, $i)", "bit | bitor($i, $i)", "bit | bitxor($i, $i)", "bit | bitnand($i, $i)", "bit | bitnot($i)",
		"bit | bitshl($i, %n)", "bit | bitshr($i, $i)", "bit | bitushr($i, %p)",
	},
	'd': {
		"+ | $d + $d", "- | $d - $d", "* | $d * $d", "/ | $d / $d", "+ | $i + $d", "- | $d - $i", "* | $i * $d", "/ | $i / $i", "/ | $i / $d",
		"** | $d ** %n", "** | $i ** %p", "neg | -$d", "abs | abs($d)", "ceil | ceil($d)", "floor | floor($d)", "round | round($d)", "ceil | ceil($i)",
		"float | float($i)", "float | float($d)", "float | float($s)", "max | max($d, $d)", "min | min($i, $d)", "max | max($d, $i)",
		"mean | mean($I)", "median | median($I)", "sum of | sum($I, float(#))", "mean | mean(map($I, # / 2))",
	},
	's': {
		"+ | $s + $s", "slice | $s[%n:%n]", "slice | $s[%n:]", "slice | $s[:%n]", "s[i] | $s[%n]", "slice | $s[$i:$i]",
		"upper | upper($s)", "lower | lower($s)", "trim | trim($s)", "trim | trim($s, %s)", "prefix | trimPrefix($s, $s)", "suffix | trimSuffix($s, %s)",
		"replace | replace($s, %s, $s)", "repeat | repeat($s, %n)", "string | string($i)", "string(d) | string($d)", "string | string($b)", "string | string($s)",
		"join | join($S, %s)", "join | join($S)", "first | first($S)", "last | last($S)", "[] | $S[%n]", "64 | toBase64($s)", "64 | fromBase64(toBase64($s))",
		"find | find($S, # > @s)", "reduce | reduce($S, #acc + #)", "reduce from | reduce($S, #acc + upper(#), @s)", "join | join(map($I, string(#)), \",\")",
	},
	'b': {
		"== | $i == $i", "< | $i < $i", "<= | $i <= $i", "!= | $i != $i", "> | $i > $d", ">= | $d >= $i", "== | $i == $d", "!= | $d != $i", "< | $d < $i",
		"== | $d == $d", "< | $d < $d", ">= | $d >= $d", "!= | $d != $d", "== | $s == $s", "< | $s < $s", ">= | $s >= $s", "!= | $b != $b", "== | $b == $b",
		"< | $t < $t", "== | $t == $t", "nil | $i == nil", "nil | $s != nil", "nil | $I == nil", "not | not $b", "and | $b and $b", "or | $b or $b", "and | $b && $b",
		"in | $i in [1, 2, %n]", "in | $i in $I", "in | $s in $S", "in | $s in [\"a\", \"ok\", %s]", "in | $i in -2..%p", "in | $i not in [0, %n]",
		"contains | $s contains $s", "starts | $s startsWith $s", "ends | $s endsWith %s", "prefix | hasPrefix($s, $s)", "suffix | hasSuffix($s, $s)",
		"matches | $s matches \"^[a-z]+$\"", "matches | $s not matches \"[0-9]\"", "any | any($I, # > @i)", "all | all($I, # != @i)", "none | none($S, # == @s)",
		"one | one($S, # startsWith \"a\")", "any | any($S, len(#) > %p)", "all | all($I, {let y = #; y % 2 == 0})", "any | any($I, any([1, 2], # == %p))",
		"in any | any($I, # in [1, @i])", "any | any($I, #index > %p and # > 0)", "== | $I == $I", "!= | $S != $S",
	},
	't': {"+ | $t + $i", "- | $t - $i", "+ | $i + $t", "max | max($t, $t)"},
	'I': {
		"map | map($I, # % 10)", "map | map($I, #index)", "map | map($S, len(#))", "map | map($I, @i)", "filter | filter($I, # > @i)", "filter | filter($I, # % 2 == 0)",
		"sort | sort($I)", "sort | sort($I, \"desc\")", "reverse | reverse($I)", "uniq | uniq($I)", "take | take($I, %n)", "take | take($I, %p)", "concat | concat($I, $I)",
		"slice list | $I[%n:%n]", "slice list | $I[%p:]", "range | %n..%p", "range | %p..%n", "sortBy | sortBy($I, # % 3)", "sortBy | sortBy($I, -(# % 3), \"desc\")", "list | [$i, $i]",
		"map | map(filter($I, # > 0), # % 7)", "sort | sort(uniq(concat($I, [1, 2])))",
	},
	'S': {
		"split | split($s, \",\")", "split | split($s, %s)", "split | split($s, \"a\", %n)", "split | splitAfter($s, \",\")", "map | map($S, upper(#))", "map | map($S, # + @s)", "map | map($I, string(#))",
		"filter | filter($S, # contains \"a\")", "filter | filter($S, # != @s)", "sort | sort($S)", "sort | sort($S, \"desc\")", "reverse | reverse($S)", "uniq | uniq($S)", "take | take($S, %p)",
		"concat | concat($S, $S)", "slice list | $S[%n:%n]", "sortBy | sortBy($S, len(#))", "list | [$s, $s]", "map | map($S, replace(#, \"a\", @s))",
	},
}
