package pipelines

import (
	"slices"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// derivation is what a transform comes down to: the output, and what the
// operator needs, compiled against the columns of the input.
type derivation struct {
	out       *stream
	where     *expr.Program // filter
	columns   []mapColumn   // map, rekey
	group     []groupColumn // aggregate, rekey
	functions []function    // aggregate
	having    *expr.Program
	reads     map[string]bool // input columns that its expressions and keys read
	useRecord bool            // an expression asks for the record behind the row
	reshard   bool            // rows must go through a repartition topic first
}

type mapColumn struct {
	field engine.Field
	from  int // input column, or -1
	expr  *expr.Program
}

type groupColumn struct {
	name string
	word Word
	from int // input column, or -1
	expr *expr.Program
}

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
func (c *compiler) compile(e *Expr, schema *engine.Schema, record bool, d *derivation) *expr.Program {
	if e == nil {
		return nil
	}
	env := expr.Env{Schema: schema, Vars: c.vars, Secret: c.secret}
	p, err := expr.Compile(e.Text, env)
	if err != nil && record {
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
		d.reads[schema.Fields[i].Name] = true
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
func (c *compiler) condition(e *Expr, schema *engine.Schema, record bool, d *derivation) *expr.Program {
	p := c.compile(e, schema, record, d)
	if p == nil {
		return nil
	}
	if t := p.Type(); t != engine.Bool && t != engine.Invalid {
		c.l.failAt(e.node, e.offset, "type", "", "a condition is needed here, this is %s", article(t.String()))
		return nil
	}
	return p
}

// derive computes what a transform makes of its input. Check calls it with all
// columns of the input, build with those that something reads.
func (c *compiler) derive(t *Transform, in *stream) *derivation {
	out := *in
	out.name, out.source, out.step, out.input, out.reads = t.Name.Text, nil, t, in, 0
	d := &derivation{out: &out, reads: map[string]bool{}}
	out.broken = in.broken || t.broken
	if in.broken {
		return d
	}
	// What could be read of a broken transform is checked, too: all errors at once.
	before := len(c.l.diags)
	switch {
	case t.Filter != nil:
		d.where = c.condition(t.Filter.Where, in.schema, in.record, d)
	case t.Map != nil:
		c.deriveMap(t, in, d)
	case t.Rekey != nil:
		c.deriveRekey(t, in, d)
	case t.Aggregate != nil:
		c.deriveAggregate(t, in, d)
	}
	out.broken = t.broken || c.l.diags[before:].Errors() > 0
	return d
}

// deriveMap computes set, select and drop.
func (c *compiler) deriveMap(t *Transform, in *stream, d *derivation) {
	m := t.Map
	dropped := map[string]bool{}
	for _, w := range m.Drop {
		if in.schema.Lookup(w.Text) < 0 {
			c.unknownColumn(w, in)
			continue
		}
		dropped[w.Text] = true
	}
	assigned := map[string]mapColumn{}
	var order []string
	assigns := m.Set
	if m.Select != nil {
		assigns = m.Select
	}
	for _, a := range assigns {
		p := c.compile(a.Expr, in.schema, in.record, d)
		if p == nil {
			continue
		}
		col := mapColumn{field: engine.Field{Name: a.Column.Text, Type: p.Type()}, from: -1, expr: p}
		if i := plainColumn(in.schema, a.Expr); i >= 0 {
			col.from, col.expr, col.field.Type = i, nil, in.schema.Fields[i].Type
		} else if col.field.Type == engine.Invalid {
			c.l.failAt(a.Expr.node, a.Expr.offset, "expression", "leave the column out, or give it a type: false ? 0 : nil", "this is always null: the column %q has no type", a.Column.Text)
			continue
		}
		if c.takesReserved(a.Column, col.from, in) || c.clashes(a.Column, assigned, in, m.Select == nil) {
			continue
		}
		if dropped[a.Column.Text] {
			c.l.fail(a.Column.node, "value", "", "column %q is both set and dropped", a.Column.Text)
		}
		assigned[a.Column.Text] = col
		order = append(order, a.Column.Text)
	}
	if m.Select == nil {
		for i, f := range in.schema.Fields {
			if dropped[f.Name] {
				continue
			}
			if a, ok := assigned[f.Name]; ok {
				d.columns = append(d.columns, a)
			} else {
				d.columns = append(d.columns, mapColumn{field: engine.Field{Name: f.Name, Type: f.Type}, from: i})
			}
		}
	}
	for _, name := range order {
		if m.Select != nil || in.schema.Lookup(name) < 0 {
			d.columns = append(d.columns, assigned[name])
		}
	}
	if len(d.columns) == 0 && !t.broken {
		c.l.fail(t.node, "value", "", "no column is left")
	}
	d.out.schema = schemaOf(d.columns)
	renamed := renames(d.columns, in.schema)
	d.out.key = rename(in.key, renamed)
	if in.grouped {
		if d.out.group = rename(in.group, renamed); d.out.group == nil && in.group != nil {
			d.out.lostGroup = t.Name.Text
		}
	}
	d.out.windowed = in.windowed && d.out.schema.Lookup(windowStart) >= 0 && d.out.schema.Lookup(windowEnd) >= 0
	d.out.lists = map[string]bool{}
	for _, col := range d.columns {
		if (col.from >= 0 && in.lists[in.schema.Fields[col.from].Name]) || (col.expr != nil && col.expr.Elem() != engine.Invalid) {
			d.out.lists[col.field.Name] = true
		}
	}
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
			} else if col.expr = c.compile(g.Expr, in.schema, in.record, d); col.expr == nil {
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

// deriveRekey adds the computed key columns and moves rows to their new key.
func (c *compiler) deriveRekey(t *Transform, in *stream, d *derivation) {
	types := c.groups(t.Rekey.Key, in, d)
	if len(types) != len(t.Rekey.Key) {
		return
	}
	for i, f := range in.schema.Fields {
		d.columns = append(d.columns, mapColumn{field: engine.Field{Name: f.Name, Type: f.Type}, from: i})
	}
	var key []string
	for i, g := range d.group {
		if g.from >= 0 {
			key = append(key, in.schema.Fields[g.from].Name)
			continue
		}
		if in.schema.Lookup(g.name) >= 0 {
			c.l.fail(t.Rekey.Key[i].Name.node, "duplicate-name", "choose another name", "there is a column %q already", g.name)
			continue
		}
		if c.takesReserved(t.Rekey.Key[i].Name, -1, in) {
			continue
		}
		d.columns = append(d.columns, mapColumn{field: engine.Field{Name: g.name, Type: types[i]}, from: -1, expr: g.expr})
		key = append(key, g.name)
	}
	d.out.schema = schemaOf(d.columns)
	d.out.key, d.out.record = key, false
	if !in.grouped {
		d.out.group, d.out.grouped = key, true
	}
	d.reshard = true
}

// deriveAggregate computes group columns, aggregates and having.
func (c *compiler) deriveAggregate(t *Transform, in *stream, d *derivation) {
	a := t.Aggregate
	types := c.groups(a.GroupBy, in, d)
	complete := len(types) == len(a.GroupBy) && !t.broken
	var fields []engine.Field
	taken := map[string]bool{}
	for i, g := range d.group {
		w := g.word
		if windowNames[g.name] && (a.Window != nil || g.from < 0 || in.schema.Fields[g.from].Name != g.name) {
			c.l.fail(w.node, "reserved", "give the column another name: {name: …}", "%q is a reserved name", g.name)
		}
		taken[g.name] = true
		fields = append(fields, engine.Field{Name: g.name, Type: types[i]})
	}
	if a.Window != nil {
		fields = append(fields, engine.Field{Name: windowStart, Type: engine.Timestamp}, engine.Field{Name: windowEnd, Type: engine.Timestamp})
		if in.table {
			c.l.fail(a.Window.node, "unsupported", "let the rows come as facts: emit: close before it", "a window over a table is not supported yet")
		}
	}
	for _, col := range a.Aggregates {
		if windowNames[col.Name.Text] {
			c.l.fail(col.Name.node, "reserved", "choose another name", "%q is a reserved name", col.Name.Text)
			continue
		}
		if taken[col.Name.Text] {
			c.l.fail(col.Name.node, "duplicate-name", "choose another name", "there is a group column %q already", col.Name.Text)
			continue
		}
		taken[col.Name.Text] = true
		f, ok := c.function(col, in, d)
		if !ok {
			continue
		}
		d.functions = append(d.functions, f)
		fields = append(fields, engine.Field{Name: col.Name.Text, Type: f.result})
	}
	if a.Window != nil && a.Update {
		fields = append(fields, engine.Field{Name: finalColumn, Type: engine.Bool})
	}
	out := d.out
	out.schema = engine.NewSchema(fields...)
	out.lists = map[string]bool{}
	if complete && len(d.functions) == len(a.Aggregates) {
		rows := &derivation{reads: map[string]bool{}}
		d.having = c.condition(a.Having, out.schema, false, rows)
	}
	if !complete {
		return
	}
	d.reshard = !covered(in, d.group)
	out.key = keyBehind(in, d)
	out.group, out.grouped, out.lostGroup = []string{}, true, ""
	for _, g := range d.group {
		out.group = append(out.group, g.name)
	}
	out.record, out.window, out.windowed = false, nil, a.Window != nil
	if a.Window != nil {
		out.window = &a.Window.Spec
	}
	out.table, out.update = a.Update, a.Update && a.Window != nil
}

// keyBehind is which columns decide a result's partition: all of the group
// after a repartition, else those that did before, as they are called now.
func keyBehind(in *stream, d *derivation) []string {
	key := []string{}
	for _, g := range d.group {
		if d.reshard || slices.Contains(in.key, in.schema.Fields[g.from].Name) {
			key = append(key, g.name)
		}
	}
	return key
}
