package pipelines

import (
	"fmt"
	"strings"
)

// transform reads one item of transforms; nil when it has not even a shape.
func (l *loader) transform(n *node) *Transform {
	if n.kind != mappingNode {
		l.fail(n, "type", "", "a transform is a mapping {name: …, type: …}, not %s", n.what())
		return nil
	}
	before := len(l.diags)
	t := &Transform{node: n}
	k := l.kind(n, "transform", "")
	if k == nil {
		t.Name, t.broken = l.name(n.get("name")), true
		if v := n.get("input"); v != nil && v.kind == scalarNode {
			t.Input = wordOf(v, v.text)
		}
		t.also = laterNames(n)
		return t
	}
	f := l.fields(n, k)
	defer f.done()
	t.Kind = k.Name
	t.also = laterNames(n)
	t.Name = l.name(f.get("name"))
	if k.key("input") != nil {
		if v := f.get("input"); v != nil {
			t.Input, _ = l.word(v)
		}
	}
	t.Errors = l.errors(f.get("errors"), false)
	if v := f.get("was"); v != nil {
		t.Was = l.name(v)
	}
	v, ok := findVerb(k.Name)
	if !ok {
		panic("pipelines: no verb " + k.Name)
	}
	t.Step = v.read(l, t, f)
	t.broken = len(l.diags) > before
	return t
}

// laterNames are the names that branch and late: {as: …} give, so that their
// uses are not reported beside them.
func laterNames(n *node) []Word {
	var out []Word
	add := func(v *node) {
		if v != nil && v.kind == scalarNode && !v.null {
			out = append(out, wordOf(v, v.text))
		}
	}
	if late := n.get("late"); late != nil {
		add(late.get("as"))
	}
	add(n.get("default"))
	if cases := n.get("cases"); cases != nil {
		for _, c := range cases.items {
			add(c.get("as"))
		}
	}
	return out
}

// assigns reads set and select: a mapping column: expression. Select may be a
// list, too, and names alone.
func (l *loader) assigns(n *node, names bool) []Assign {
	if n == nil {
		return nil
	}
	var out []Assign
	seen := map[string]bool{}
	add := func(key, value *node, bare bool) {
		path, ok := l.columnName(key)
		if !ok {
			return
		}
		w := path
		if bare {
			w = lastSegment(path)
		}
		if seen[w.Text] {
			l.fail(key, "duplicate-name", "", "column %q is given twice", w.Text)
			return
		}
		seen[w.Text] = true
		if bare {
			out = append(out, Assign{Column: w, Expr: columnExpr(key, path.Text)})
			return
		}
		if e := l.expr(value); e != nil {
			out = append(out, Assign{Column: w, Expr: e})
		}
	}
	if names && n.kind == sequenceNode {
		for _, item := range n.items {
			switch {
			case item.kind == scalarNode:
				add(item, nil, true)
			case item.kind == mappingNode && len(item.pairs) == 1:
				add(item.pairs[0].key, item.pairs[0].value, false)
			default:
				l.fail(item, "type", "", "a column is `name` or `{name: expression}`, not %s", item.what())
			}
		}
		return out
	}
	for _, pr := range l.pairs(n, "columns") {
		bare := names && pr.value != nil && pr.value.null && pr.value.word() == ""
		add(pr.key, pr.value, bare)
	}
	return out
}

// columnExpr is the expression that reads a column, whatever its name.
func columnExpr(n *node, column string) *Expr {
	e := exprOf(n, column, 0)
	if !barePattern.MatchString(column) {
		e.Text = fmt.Sprintf("$env[%q]", column)
	}
	return e
}

// lastSegment is the name of a column that was addressed by its path.
func lastSegment(w Word) Word {
	w.Text = w.Text[strings.LastIndexByte(w.Text, '.')+1:]
	return w
}

// groups reads group_by and a rekey's key: names, paths and {name: expression}.
func (l *loader) groups(n *node) []Group {
	var out []Group
	seen := map[string]Word{}
	for _, item := range l.list(n, "columns") {
		var g Group
		switch {
		case item.kind == mappingNode && len(item.pairs) == 1:
			pr := item.pairs[0]
			w, ok := l.columnName(pr.key)
			e := l.expr(pr.value)
			if !ok || e == nil {
				continue
			}
			g = Group{Name: w, Expr: e}
		case item.kind == scalarNode && !item.null:
			w, ok := l.columnName(item)
			if !ok {
				continue
			}
			if i := strings.IndexByte(w.Text, '('); i > 0 {
				l.fail(item, "type", fmt.Sprintf("give it a name: {name: %s}", quoted(w.Text)), "an expression in a key needs a name for its column")
				continue
			}
			g = Group{Name: lastSegment(w), Column: w}
		default:
			l.fail(item, "type", "", "a column of a key is `name`, `path.to.it` or `{name: expression}`, not %s", item.what())
			continue
		}
		if _, again := seen[g.Name.Text]; again {
			l.fail(item, "duplicate-name", "give one of them a name: {other_name: path}", "two columns called %q", g.Name.Text)
			continue
		}
		seen[g.Name.Text] = g.Name
		out = append(out, g)
	}
	return out
}
