package expr

import (
	"fmt"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"github.com/leatstream/leat/engine"
)

// Limits of one expression. What a row may cost at run time is in limits.go.
const (
	maxTextBytes = 16 << 10 // keeps expr's recursive parser within a small stack
	maxNodes     = 5000
)

// Env is what an expression may use.
type Env struct {
	Schema *engine.Schema
	Vars   map[string]Value
	// Lists gives the element types of Any columns that hold lists.
	Lists map[string]engine.Type
	// Record allows key() topic() partition() offset() timestamp() header(name):
	// the batches have Src.
	Record bool
	// Secret resolves secret("NAME"); nil: there are none.
	Secret func(name string) (string, bool)
}

// Program is a checked expression; immutable, shared by all tasks.
type Program struct {
	text    string
	env     Env
	tree    ast.Node
	t       typ
	konst   *Value
	columns []int
}

// Compile parses and checks an expression. The error is an *Error.
func Compile(text string, env Env) (p *Program, err error) {
	defer func() { // expr's parser has panicked on odd input before
		if r := recover(); r != nil {
			p, err = nil, &Error{Len: len(text), Msg: fmt.Sprintf("cannot parse the expression: %v", r)}
		}
	}()
	if err := checkText(text); err != nil {
		return nil, err
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, parseError(text, err)
	}
	p = &Program{text: text, env: env, tree: tree.Node}
	c := newCompiler(p)
	n, err := c.compile(tree.Node)
	if err != nil {
		return nil, err
	}
	p.t, p.konst, p.columns = n.t, n.konst, c.columns()
	return p, nil
}

func checkText(text string) error {
	blank := true
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return span{i, 1}.errorf("", "the expression is not UTF-8")
			}
		}
		blank = blank && (r == ' ' || r == '\t' || r == '\n' || r == '\r')
	}
	if blank {
		return span{0, len(text)}.errorf("", "the expression is empty")
	}
	if len(text) > maxTextBytes {
		return span{maxTextBytes, 1}.errorf("", "the expression is longer than %d bytes", maxTextBytes)
	}
	return nil
}

// Type is the type of the results: Invalid for an always-null constant. Any
// value may be null. A list is Any, its values JSON text.
func (p *Program) Type() engine.Type { return p.t.k }

// Elem is the type of the elements of a list (Any where they differ), or
// Invalid where the result is not a list.
func (p *Program) Elem() engine.Type { return p.t.elem }

// Const gives the value of an expression that reads no row; ok is false for
// any other.
func (p *Program) Const() (v Value, ok bool) {
	if p.konst == nil {
		return Value{}, false
	}
	return *p.konst, true
}

// Columns are the schema columns that it reads, ascending.
func (p *Program) Columns() []int { return p.columns }

// String is the expression's text.
func (p *Program) String() string { return p.text }

// New makes an instance with memory of its own, for one goroutine.
func (p *Program) New() *Eval {
	n, err := newCompiler(p).compile(p.tree)
	if err != nil {
		panic(err) // it compiled before, and nothing has changed
	}
	return &Eval{text: p.text, n: n, f: frame{run: &run{}}}
}

// Eval is an instance of a Program: a tree of closures with scratch columns.
type Eval struct {
	text string
	n    *node
	f    frame
	sel  rowsBuf
}

// Column computes the values of the rows of sel. cols is b.Cols, or b.Old for
// the old rows of a table's change. Rows with an expression error go to bad,
// whose own error stops the evaluation, and are left out of the selection
// returned (sel itself where there are none). Entries of other rows are
// garbage. Column and selection are valid until the next call; a plain column
// reference gives the input column itself.
func (e *Eval) Column(b *engine.Batch, cols []engine.Column, sel []int32, bad func(row int32, err error) error) (*engine.Column, []int32, error) {
	e.begin(b, cols)
	c := e.n.eval(&e.f, sel)
	sel, err := e.end(sel, bad)
	return c, sel, err
}

// Filter appends the rows of sel where the expression is true (null counts as
// false) to out[:0]. Rows with an expression error go to bad and are left out.
func (e *Eval) Filter(b *engine.Batch, cols []engine.Column, sel []int32, out []int32, bad func(row int32, err error) error) ([]int32, error) {
	if e.n.t != tBool && !e.n.t.null() {
		return nil, fmt.Errorf("filter by %q: it is %s, not bool", e.text, e.n.t)
	}
	e.begin(b, cols)
	if cap(out) < len(sel) {
		out = make([]int32, len(sel))
	}
	kept := e.n.filter(&e.f, sel, out)
	if len(e.f.fails) == 0 {
		return kept, nil
	}
	ok := kept[:0]
	for _, i := range kept {
		if !e.f.bad[i] {
			ok = append(ok, i)
		}
	}
	return ok, e.report(bad)
}

func (e *Eval) begin(b *engine.Batch, cols []engine.Column) {
	e.f.b, e.f.n, e.f.cols = b, b.N, cols
	e.f.bad, e.f.fails, e.f.steps = nil, e.f.fails[:0], e.f.steps[:0]
	e.f.built = e.f.built[:0]
}

func (e *Eval) end(sel []int32, bad func(row int32, err error) error) ([]int32, error) {
	if len(e.f.fails) == 0 {
		return sel, nil
	}
	ok := e.sel.take(len(sel))
	for _, i := range sel {
		if !e.f.bad[i] {
			ok = append(ok, i)
		}
	}
	e.sel = ok
	return ok, e.report(bad)
}

// report hands the failed rows over in the order of rows.
func (e *Eval) report(bad func(row int32, err error) error) error {
	sortFailures(e.f.fails)
	for _, f := range e.f.fails {
		if err := bad(f.row, f.err); err != nil {
			return err
		}
	}
	return nil
}
