package pipelines

import (
	"slices"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// compiler compiles the expressions of one pipeline. In check its findings are
// reported; in build there are none left to report.
type compiler struct {
	l      *loader
	vars   map[string]expr.Value
	secret func(string) (string, bool)
}

func newCompiler(l *loader, p *Pipeline, secret func(string) (string, bool)) *compiler {
	c := &compiler{l: l, vars: map[string]expr.Value{}, secret: secret}
	for _, v := range p.Vars {
		c.vars[v.Name.Text] = exprValue(v.Value)
	}
	return c
}

// compile compiles one expression; nil when it is wrong, which was reported.
func (c *compiler) compile(e *Expr, in scope, d *derivation) *expr.Program {
	if e == nil {
		return nil
	}
	env := expr.Env{Schema: in.schema, Vars: c.vars, Lists: in.lists, Secret: c.secret}
	p, err := expr.Compile(e.Text, env)
	if err != nil && in.record {
		env.Record = true
		if again, errAgain := expr.Compile(e.Text, env); errAgain == nil {
			p, err = again, nil
			d.useRecord = true
		}
	}
	if err != nil {
		c.wrong(e, err)
		return nil
	}
	for _, i := range p.Columns() {
		d.reads[in.schema.Fields[i].Name] = true
	}
	return p
}

func (c *compiler) wrong(e *Expr, err error) {
	off, text, hint := 0, err.Error(), ""
	if at, ok := err.(*expr.Error); ok {
		off, text, hint = at.Offset, at.Msg, at.Hint
	}
	code := "expression"
	if strings.HasPrefix(text, "unknown column") {
		code = "unknown-column"
	}
	if rest := e.node.commentAfter(); rest != "" && (strings.Contains(text, "end of the expression") || strings.Contains(text, "not terminated") || code == "expression") {
		hint = "to YAML \"" + rest + "\" is a comment: quote the expression"
	}
	c.l.failAt(e.node, e.offset+off, code, hint, "%s", text)
}

// condition compiles an expression that must be true or false.
func (c *compiler) condition(e *Expr, in scope, d *derivation) *expr.Program {
	p := c.compile(e, in, d)
	if p == nil {
		return nil
	}
	if t := p.Type(); t != engine.Bool && t != engine.Invalid {
		c.l.failAt(e.node, e.offset, "type", "", "a condition is needed here, this is %s", article(t.String()))
		return nil
	}
	return p
}

// derive computes what a transform makes of its inputs.
func (c *compiler) derive(t *Transform, in []*stream) *derivation {
	out := *in[0]
	out.name, out.source, out.step, out.inputs, out.reads, out.main = t.Name.Text, nil, t, in, 0, nil
	d := &derivation{t: t, in: in, out: &out, reads: map[string]bool{}}
	out.broken = t.broken || t.Step == nil
	for _, s := range in {
		out.broken = out.broken || s.broken
	}
	if t.Step == nil {
		return d
	}
	if slices.ContainsFunc(in, func(s *stream) bool { return s.broken }) {
		for _, w := range t.Step.sides() {
			d.side(w)
		}
		return d
	}
	// What could be read of a broken transform is checked, too: all errors at once.
	before := len(c.l.diags)
	t.Step.derive(c, t, d)
	out.broken = t.broken || c.l.diags[before:].Errors() > 0
	if len(d.sides) == 0 {
		for _, w := range t.Step.sides() { // it gave up before: their uses are not reported
			d.side(w)
		}
	}
	for _, s := range d.sides {
		s.broken = out.broken
	}
	return d
}

// clashes reports a column whose name is a path into another: a and a.b.
func (c *compiler) clashes(w Word, assigned map[string]mapColumn, in *stream, keeps bool) bool {
	inside := func(a, b string) bool { return strings.HasPrefix(a, b+".") }
	other := ""
	for name := range assigned {
		if inside(name, w.Text) || inside(w.Text, name) {
			other = name
		}
	}
	for _, f := range in.schema.Fields {
		if keeps && (inside(f.Name, w.Text) || inside(w.Text, f.Name)) && !(in.schema.Lookup(w.Text) >= 0) {
			other = f.Name
		}
	}
	if other == "" {
		return false
	}
	c.l.fail(w.node, "duplicate-name", "", "columns %q and %q cannot both be: one is a part of the other", w.Text, other)
	return true
}

// takesReserved reports a column that takes one of the names of windows.
func (c *compiler) takesReserved(w Word, from int, in *stream) bool {
	if !windowNames[w.Text] || (from >= 0 && in.schema.Fields[from].Name == w.Text) {
		return false
	}
	c.l.fail(w.node, "reserved", "pass it on under its own name, or choose another", "%q is a reserved name", w.Text)
	return true
}

var windowNames = map[string]bool{windowStart: true, windowEnd: true, "window_time": true, finalColumn: true, "rank": true}

// plainColumn is the column that an expression is, or -1.
func plainColumn(schema *engine.Schema, e *Expr) int {
	return schema.Lookup(columnOf(e.Text))
}

// columnOf takes the $env["…"] away that columnExpr put around an odd name.
func columnOf(text string) string {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, `$env["`); ok && strings.HasSuffix(rest, `"]`) && !strings.ContainsAny(rest[:len(rest)-2], `"\`) {
		return rest[:len(rest)-2]
	}
	return text
}

func schemaOf(cols []mapColumn) *engine.Schema {
	fields := make([]engine.Field, len(cols))
	for i, col := range cols {
		fields[i] = col.field
	}
	return engine.NewSchema(fields...)
}

// renames tells under which name each input column goes on; a column that goes
// on twice keeps its own name if it can.
func renames(cols []mapColumn, in *engine.Schema) map[string]string {
	out := map[string]string{}
	for _, col := range cols {
		if col.from < 0 {
			continue
		}
		was := in.Fields[col.from].Name
		if out[was] != was {
			out[was] = col.field.Name
		}
	}
	return out
}

// rename follows columns through a map; nil when one of them is gone.
func rename(names []string, to map[string]string) []string {
	if names == nil {
		return nil
	}
	out := make([]string, len(names))
	for i, n := range names {
		if to[n] == "" {
			return nil
		}
		out[i] = to[n]
	}
	return out
}

// groups resolves the columns of a key. types gives their types, in order.
func (c *compiler) groups(list []Group, in *stream, d *derivation) (types []engine.Type) {
	for _, g := range list {
		col := groupColumn{name: g.Name.Text, word: g.Name, from: -1}
		t := engine.Invalid
		switch {
		case g.Expr != nil:
			if i := plainColumn(in.schema, g.Expr); i >= 0 {
				col.from = i
			} else if col.expr = c.compile(g.Expr, in.scope(), d); col.expr == nil {
				continue
			} else if t = col.expr.Type(); t == engine.Invalid {
				c.l.failAt(g.Expr.node, g.Expr.offset, "expression", "", "this is always null: there is nothing to group by")
				continue
			}
		default:
			if col.from = in.schema.Lookup(g.Column.Text); col.from < 0 {
				c.unknownColumn(g.Column, in)
				continue
			}
		}
		if col.from >= 0 {
			t = in.schema.Fields[col.from].Type
			d.reads[in.schema.Fields[col.from].Name] = true
		}
		d.group, types = append(d.group, col), append(types, t)
	}
	return types
}

// unknownColumn reports a column that the input has not.
func (c *compiler) unknownColumn(w Word, in *stream) {
	names := in.schema.Names()
	hint := didYouMean(w.Text, names)
	for _, n := range names {
		if strings.HasPrefix(n, w.Text+".") {
			hint = "name one of its parts: " + n
			break
		}
		if strings.HasSuffix(n, "."+w.Text) {
			hint = "did you mean \"" + n + "\"?"
			break
		}
	}
	c.l.fail(w.node, "unknown-column", hint, "unknown column %q in %q", w.Text, in.name)
}

// covered tells whether all rows of a group are in one partition already: the
// columns that decide the partition are all among the group's.
func covered(in *stream, group []groupColumn) bool {
	if in.key == nil {
		return false
	}
	for _, k := range in.key {
		if !slices.ContainsFunc(group, func(g groupColumn) bool { return g.from >= 0 && in.schema.Fields[g.from].Name == k }) {
			return false
		}
	}
	return true
}

// groupLists are the lists among group columns.
func groupLists(in *stream, group []groupColumn) map[string]engine.Type {
	lists := map[string]engine.Type{}
	for _, g := range group {
		if g.from >= 0 {
			if elem, list := in.lists[in.schema.Fields[g.from].Name]; list {
				lists[g.name] = elem
			}
		} else if g.expr.Elem() != engine.Invalid {
			lists[g.name] = g.expr.Elem()
		}
	}
	return lists
}
