package expr

import (
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// node is a compiled expression: its type and its closures.
type node struct {
	at     span
	t      typ
	eval   evalFn
	keep   keepFn // of some bool nodes: faster than eval and a look at the result
	konst  *Value // of a constant
	fails  bool   // may report expression errors
	record bool   // reads the source record: differs by row without a column
}

// filter selects the rows where a bool node is true.
func (n *node) filter(f *frame, sel, out []int32) []int32 {
	if n.keep != nil {
		return n.keep(f, sel, out)
	}
	c := n.eval(f, sel)
	out = out[:len(sel)]
	k := 0
	if c.Type != engine.Bool { // always null
		return out[:0]
	}
	if c.Nulls == nil {
		for _, i := range sel {
			out[k] = i
			if c.Bools[i] {
				k++
			}
		}
		return out[:k]
	}
	for _, i := range sel {
		out[k] = i
		if c.Bools[i] && !c.Nulls[i] {
			k++
		}
	}
	return out[:k]
}

// compiler turns one syntax tree into nodes.
type compiler struct {
	src   source
	env   Env
	used  map[int]bool
	scope []variable     // let, innermost last
	depth int            // of list predicates around the present place
	elems []typ          // type of # per depth
	accs  []*accumulator // #acc per depth, nil but in reduce
	nodes int
	keyed bool // the present place may hold a secret
	// functions is the table: a field, as the functions in it look into it.
	functions []function
}

type variable struct {
	name  string
	n     *node
	depth int
	now   **engine.Column // its values
}

func newCompiler(p *Program) *compiler {
	return &compiler{src: source(p.text), env: p.env, used: map[int]bool{}, functions: functions}
}

func (c *compiler) columns() []int {
	cols := make([]int, 0, len(c.used))
	for i := range c.used {
		cols = append(cols, i)
	}
	slices.Sort(cols)
	return cols
}

// compile makes the node of n.
func (c *compiler) compile(n ast.Node) (*node, error) {
	at := c.src.of(n)
	if c.nodes++; c.nodes > maxNodes {
		return nil, at.errorf("", "the expression has more than %d parts", maxNodes)
	}
	out, err := c.kind(n, at)
	if err != nil {
		return nil, err
	}
	out.at = at
	return out, nil
}

func (c *compiler) kind(n ast.Node, at span) (*node, error) {
	switch n := n.(type) {
	case *ast.NilNode:
		return constant(Value{}), nil
	case *ast.IntegerNode:
		return constant(IntValue(int64(n.Value))), nil
	case *ast.FloatNode:
		return constant(DoubleValue(n.Value)), nil
	case *ast.BoolNode:
		return constant(BoolValue(n.Value)), nil
	case *ast.StringNode:
		return constant(StringValue(n.Value)), nil
	case *ast.BytesNode:
		return constant(Value{Type: engine.Bytes, text: string(n.Value)}), nil
	case *ast.IdentifierNode:
		return c.identifier(n.Value, at)
	case *ast.ChainNode:
		return c.compile(n.Node)
	case *ast.MemberNode:
		return c.member(n, at)
	case *ast.UnaryNode:
		return c.unary(n, at)
	case *ast.BinaryNode:
		return c.binary(n, at)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.VariableDeclaratorNode:
		return c.let(n, at)
	case *ast.BuiltinNode:
		return c.call(n.Name, n.Arguments, at)
	case *ast.CallNode:
		if name, ok := n.Callee.(*ast.IdentifierNode); ok {
			return c.call(name.Value, n.Arguments, at)
		}
		return nil, at.errorf("", "values have no methods: write name(x)")
	case *ast.SliceNode:
		return c.slicing(n, at)
	case *ast.PointerNode:
		return c.pointer(n, at)
	case *ast.MapNode:
		return c.object(n)
	case *ast.ArrayNode:
		return c.list(n)
	case *ast.SequenceNode:
		return nil, at.errorf("", `";" only ends a let`)
	}
	return nil, at.errorf("", "this is not supported in expressions")
}

func (c *compiler) unary(n *ast.UnaryNode, at span) (*node, error) {
	x, err := c.compile(n.Node)
	if err != nil {
		return nil, err
	}
	switch n.Operator {
	case "not", "!":
		return c.not(x)
	case "-":
		return c.negate(x, at)
	}
	if !x.t.num() && !x.t.null() {
		return nil, at.errorf("", "+ needs a number, not %s", x.t)
	}
	return x, nil
}

func (c *compiler) binary(n *ast.BinaryNode, at span) (*node, error) {
	switch n.Operator {
	case "in":
		return c.in(n, at)
	case "..":
		return c.numberRange(n)
	}
	x, err := c.compile(n.Left)
	if err != nil {
		return nil, err
	}
	y, err := c.compile(n.Right)
	if err != nil {
		return nil, err
	}
	var out *node
	switch op := n.Operator; op {
	case "and", "&&", "or", "||":
		return c.logic(op == "or" || op == "||", x, y)
	case "??":
		return c.coalesce(x, y, at)
	case "==", "!=", "<", "<=", ">", ">=":
		out, err = c.compare(op, x, y, at)
	case "+", "-", "*", "/", "%", "**", "^":
		out, err = c.arithmetic(op, x, y, at)
	case "contains", "startsWith", "endsWith", "matches":
		out, err = c.textOperator(op, x, y, at)
	default:
		return nil, at.errorf("", "operator %q is not supported", op)
	}
	if err != nil {
		return nil, err
	}
	return fold(out, x, y), nil
}

// constant is a node that gives v for every row.
func constant(v Value) *node {
	var s scratch
	full := -1
	return &node{t: v.typ(), konst: &v, eval: func(f *frame, _ []int32) *engine.Column {
		if full != f.n {
			v.fill(&s, f.n)
			full = f.n
		}
		return &s.Column
	}}
}

// fold computes a node whose arguments are constants once and for all. One
// that fails stays as it is: it is an error of each row that needs it.
func fold(n *node, args ...*node) *node {
	if n.record {
		return n
	}
	for _, a := range args {
		if a.konst == nil {
			return n
		}
	}
	f := frame{run: &run{b: &engine.Batch{N: 1}}, n: 1}
	c := n.eval(&f, []int32{0})
	if len(f.fails) > 0 {
		return n
	}
	v := valueAt(c, 0, n.t)
	if v.Null() {
		v.Type = engine.Invalid
	}
	if n.t.list() {
		v = listFromJSON(v)
	}
	k := constant(v)
	k.at = n.at
	if !v.Null() {
		k.t = n.t
	}
	return k
}
