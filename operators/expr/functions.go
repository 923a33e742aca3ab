package expr

import (
	"strings"

	"github.com/expr-lang/expr/ast"
)

// function is one that may be called.
type function struct {
	name  string
	usage string // for messages: div(a, b)
	min   int    // arguments
	max   int    // -1: any number
	build func(c *compiler, call call) (*node, error)
}

// call is one use of a function.
type call struct {
	*function
	at   span
	args []*node
}

// wrong says that an argument has a type that does not fit.
func (k call) wrong(i int) error {
	a := k.args[i]
	hint := k.usage
	if a.t.any() {
		hint = "string(x), int(x), float(x) and bool(x) convert"
	}
	return a.at.errorf(hint, "%s() does not take %s", k.name, a.t)
}

func (c *compiler) function(name string) *function {
	for i := range c.functions {
		if c.functions[i].name == name {
			return &c.functions[i]
		}
	}
	return nil
}

// call compiles a function call.
func (c *compiler) call(name string, args []ast.Node, at span) (*node, error) {
	if p, ok := predicates[name]; ok && len(args) > 1 {
		return c.overList(name, p, args, at)
	}
	fn := c.function(name)
	if fn == nil {
		return nil, c.unknownFunction(name, at)
	}
	if len(args) < fn.min || fn.max >= 0 && len(args) > fn.max {
		return nil, at.errorf(fn.usage, "%s() does not take %d arguments", name, len(args))
	}
	k := call{function: fn, at: at}
	null, keyed := false, c.keyed
	for _, a := range args {
		c.keyed = name == "hmac"
		if _, direct := a.(*ast.CallNode); !direct {
			c.keyed = false
		}
		n, err := c.compile(a)
		if err != nil {
			return nil, err
		}
		null = null || n.t.null()
		k.args = append(k.args, n)
	}
	c.keyed = keyed
	if null {
		return constant(Value{}), nil
	}
	n, err := fn.build(c, k)
	if err != nil {
		return nil, err
	}
	if len(k.args) == 0 {
		return n, nil
	}
	return fold(n, k.args...), nil
}

// notHere are names that people will try.
var notHere = map[string]string{
	"now":       "there is no clock: a replay must give the same rows; use the event time column",
	"date":      "parse_time(text) makes a timestamp",
	"timezone":  "format_time(ts, layout, zone) takes a zone",
	"type":      "columns have declared types",
	"groupBy":   "an aggregate groups rows",
	"toPairs":   "maps are not supported",
	"fromPairs": "maps are not supported",
	"avg":       "aggregates stand in aggregates: of a transform; mean(list) takes a list",
}

func (c *compiler) unknownFunction(name string, at span) error {
	if why, ok := notHere[name]; ok {
		return at.errorf(why, "%s() is not available", name)
	}
	var names []string
	for _, f := range c.functions {
		names = append(names, f.name)
	}
	names = append(names, predicateNames()...)
	hint := didYouMean(name, names)
	if hint == "" {
		if i := strings.IndexByte(name, '_'); i > 0 && c.function(name[:i]) != nil {
			hint = c.function(name[:i]).usage
		}
	}
	return at.errorf(hint, "unknown function %q", name)
}
