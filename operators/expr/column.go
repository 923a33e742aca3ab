package expr

import (
	"sort"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// reserved are the names that are no columns.
const (
	varsName = "vars"
	envName  = "$env"
)

func (c *compiler) identifier(name string, at span) (*node, error) {
	for i := len(c.scope) - 1; i >= 0; i-- {
		if c.scope[i].name == name {
			return c.variable(c.scope[i]), nil
		}
	}
	if c.env.Schema != nil {
		if i := c.env.Schema.Lookup(name); i >= 0 {
			return c.columnAt(i), nil
		}
	}
	switch name {
	case "null":
		return constant(Value{}), nil
	case varsName:
		return nil, at.errorf("", "vars needs a name behind it: vars.%s", firstOf(c.varNames(), "name"))
	case envName:
		return nil, at.errorf("", `$env needs a column behind it: $env["name"]`)
	}
	var inside []string
	for _, n := range c.columnNames() {
		if strings.HasPrefix(n, name+".") {
			inside = append(inside, n)
		}
	}
	if len(inside) > 0 {
		return nil, at.errorf("", "%q is not a value but a group of columns: %s", name, strings.Join(inside, ", "))
	}
	return nil, c.unknownColumn(name, at)
}

func (c *compiler) unknownColumn(name string, at span) *Error {
	hint := didYouMean(name, c.columnNames())
	if hint == "" && c.function(name) != nil {
		hint = name + " is a function: " + c.function(name).usage
	}
	return at.errorf(hint, "unknown column %q", name)
}

func (c *compiler) columnNames() []string {
	if c.env.Schema == nil {
		return nil
	}
	return c.env.Schema.Names()
}

func (c *compiler) varNames() []string {
	names := make([]string, 0, len(c.env.Vars))
	for n := range c.env.Vars {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func firstOf(names []string, or string) string {
	if len(names) == 0 {
		return or
	}
	return names[0]
}

// columnAt reads a schema column: the input column itself, or in a list's
// predicate the value of the row around it.
func (c *compiler) columnAt(i int) *node {
	c.used[i] = true
	field := c.env.Schema.Fields[i]
	t := typ{k: field.Type}
	if t.any() {
		t.elem = c.env.Lists[field.Name]
	}
	n := &node{t: t, eval: func(f *frame, _ []int32) *engine.Column { return &f.cols[i] }}
	return c.outer(n, c.depth)
}

// variable reads a let.
func (c *compiler) variable(v variable) *node {
	if v.n.konst != nil {
		return constant(*v.n.konst)
	}
	n := &node{t: v.n.t, eval: func(*frame, []int32) *engine.Column { return *v.now }}
	return c.outer(n, c.depth-v.depth)
}

// outer reads n, a value of the rows up frames around, for list elements:
// every element has the same one row behind it.
func (c *compiler) outer(n *node, up int) *node {
	if up == 0 {
		return n
	}
	var s scratch
	var one [1]int32
	var all rowsBuf
	return &node{t: n.t, fails: n.fails, eval: func(f *frame, _ []int32) *engine.Column {
		around, row := f, int32(0)
		for range up {
			row, around = around.row, around.parent
		}
		one[0] = row
		v := valueAt(n.eval(around, one[:]), row, n.t)
		v.fill(&s, f.n)
		if v.Null() {
			s.reset(n.t.k, f.n)
			s.allNull(upTo(&all, f.n), f.n)
		}
		return &s.Column
	}}
}

// member is a.b, a["b"] and a[0]: a nested column by its path, an entry of
// vars, or a part of JSON.
func (c *compiler) member(n *ast.MemberNode, at span) (*node, error) {
	base, path := pathOf(n)
	if base != nil && !c.isVariable(base.Value) {
		switch {
		case base.Value == varsName:
			return c.vars(base, path)
		case base.Value == envName:
			return c.path(path[0].name, path[0].at(c), path[1:])
		default:
			return c.path(base.Value, c.src.of(base), path)
		}
	}
	x, err := c.compile(n.Node)
	if err != nil {
		return nil, err
	}
	return c.part(x, n.Property, at)
}

// step is one .name of a path.
type step struct {
	name string
	n    *ast.MemberNode
}

func (s step) at(c *compiler) span { return c.src.of(s.n.Property) }

// pathOf takes a.b.c apart. base is nil where it does not begin with a name or
// has a part that is not a constant text.
func pathOf(n ast.Node) (base *ast.IdentifierNode, path []step) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n, nil
	case *ast.ChainNode:
		return pathOf(n.Node)
	case *ast.MemberNode:
		name, ok := n.Property.(*ast.StringNode)
		if !ok {
			return nil, nil
		}
		base, path = pathOf(n.Node)
		if base == nil {
			return nil, nil
		}
		return base, append(path, step{name.Value, n})
	}
	return nil, nil
}

func (c *compiler) isVariable(name string) bool {
	for _, v := range c.scope {
		if v.name == name {
			return true
		}
	}
	return false
}

// path finds the longest column name that the path begins with; what remains
// is looked up in the column's JSON.
func (c *compiler) path(name string, at span, path []step) (*node, error) {
	full := name
	names := []string{full}
	for _, s := range path {
		full += "." + s.name
		names = append(names, full)
	}
	for i := len(path); i >= 0; i-- {
		if c.env.Schema == nil || c.env.Schema.Lookup(names[i]) < 0 {
			continue
		}
		x := c.columnAt(c.env.Schema.Lookup(names[i]))
		x.at = at
		for _, s := range path[i:] {
			var err error
			if x, err = c.part(x, s.n.Property, s.at(c)); err != nil {
				return nil, err
			}
			x.at = s.at(c)
		}
		return x, nil
	}
	if len(path) > 0 {
		at.len = max(at.len, path[len(path)-1].at(c).off+path[len(path)-1].at(c).len-at.off)
	}
	return nil, c.unknownColumn(full, at)
}

func (c *compiler) vars(base *ast.IdentifierNode, path []step) (*node, error) {
	v, ok := c.env.Vars[path[0].name]
	if !ok {
		return nil, path[0].at(c).errorf(didYouMean(path[0].name, c.varNames()), "vars has no %q", path[0].name)
	}
	x := constant(v)
	for _, s := range path[1:] {
		var err error
		if x, err = c.part(x, s.n.Property, s.at(c)); err != nil {
			return nil, err
		}
	}
	return x, nil
}
