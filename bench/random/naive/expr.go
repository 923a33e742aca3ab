package naive

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Expr is an expression: an operator over others, a column or a constant.
type Expr struct {
	Op   string // "col", "lit", an operator, or a function's name
	Type string
	Name string // of a column
	Lit  any
	Args []*Expr
}

var (
	errOverflow = errors.New("integer overflow")
	errZero     = errors.New("division by zero")
)

// ColOf is the expression of a column.
func ColOf(c Col) *Expr { return &Expr{Op: "col", Name: c.Name, Type: c.Type} }

// Lit is a constant.
func Lit(v any) *Expr {
	e := &Expr{Op: "lit", Lit: v}
	switch v.(type) {
	case int64:
		e.Type = Int
	case float64:
		e.Type = Double
	case string:
		e.Type = String
	case bool:
		e.Type = Bool
	}
	return e
}

// Call is an operator or function over arguments.
func Call(op, typ string, args ...*Expr) *Expr { return &Expr{Op: op, Type: typ, Args: args} }

// String is the expression as the language writes it.
func (e *Expr) String() string {
	switch e.Op {
	case "col":
		return e.Name
	case "lit":
		switch v := e.Lit.(type) {
		case nil:
			return "nil"
		case string:
			return strconv.Quote(v)
		case float64:
			s := strconv.FormatFloat(v, 'f', -1, 64)
			if !strings.Contains(s, ".") {
				s += ".0"
			}
			if v < 0 {
				s = "(" + s + ")"
			}
			return s
		case int64:
			if v < 0 {
				return "(" + strconv.FormatInt(v, 10) + ")"
			}
			return strconv.FormatInt(v, 10)
		}
		return fmt.Sprint(e.Lit)
	case "not":
		return "(not " + e.Args[0].String() + ")"
	case "neg":
		return "(-" + e.Args[0].String() + ")"
	case "list":
		return "[" + e.arguments() + "]"
	case "?:":
		return "(" + e.Args[0].String() + " ? " + e.Args[1].String() + " : " + e.Args[2].String() + ")"
	}
	if len(e.Args) == 2 && !isName(e.Op) || e.Op == "and" || e.Op == "or" {
		return "(" + e.Args[0].String() + " " + e.Op + " " + e.Args[1].String() + ")"
	}
	return e.Op + "(" + e.arguments() + ")"
}

func (e *Expr) arguments() string {
	var args []string
	for _, a := range e.Args {
		args = append(args, a.String())
	}
	return strings.Join(args, ", ")
}

func isName(op string) bool { return op[0] >= 'a' && op[0] <= 'z' }

// Columns adds the columns that the expression reads.
func (e *Expr) Columns(to map[string]bool) {
	if e == nil {
		return
	}
	if e.Op == "col" {
		to[e.Name] = true
	}
	for _, a := range e.Args {
		a.Columns(to)
	}
}

// Eval computes the expression over a row.
func (e *Expr) Eval(v map[string]any) (any, error) {
	switch e.Op {
	case "col":
		return v[e.Name], nil
	case "lit":
		return e.Lit, nil
	case "and", "or":
		return e.logic(v)
	case "filter", "map":
		return e.over(v)
	case "?:":
		c, err := e.Args[0].Eval(v)
		if err != nil {
			return nil, err
		}
		if c == true {
			return e.widened(1, v)
		}
		return e.widened(2, v)
	case "??":
		a, err := e.widened(0, v)
		if err != nil || a != nil {
			return a, err
		}
		return e.widened(1, v)
	}
	var args []any
	for _, a := range e.Args {
		x, err := a.Eval(v)
		if err != nil {
			return nil, err
		}
		args = append(args, x)
	}
	switch e.Op {
	case "list":
		return args, nil
	case "==", "!=":
		// nil as a constant tests for null.
		if e.Args[1].Op == "lit" && e.Args[1].Lit == nil {
			return (args[0] == nil) == (e.Op == "=="), nil
		}
	}
	for _, a := range args {
		if a == nil {
			return nil, nil
		}
	}
	if list, is := e.list(args); is {
		return list, nil
	}
	switch e.Op {
	case "not":
		return !args[0].(bool), nil
	case "neg":
		if i, ok := args[0].(int64); ok {
			if i == math.MinInt64 {
				return nil, errOverflow
			}
			return -i, nil
		}
		return -args[0].(float64), nil
	case "==", "!=", "<", "<=", ">", ">=":
		c := Compare(args[0], args[1])
		switch e.Op {
		case "==":
			return c == 0, nil
		case "!=":
			return c != 0, nil
		case "<":
			return c < 0, nil
		case "<=":
			return c <= 0, nil
		case ">":
			return c > 0, nil
		}
		return c >= 0, nil
	case "+", "-", "*":
		return arithmetic(e.Op, args[0], args[1])
	case "/":
		b := float(args[1])
		if b == 0 {
			return nil, errZero
		}
		return float(args[0]) / b, nil
	case "%":
		a, b := args[0].(int64), args[1].(int64)
		if b == 0 {
			return nil, errZero
		}
		return a % b, nil
	case "upper":
		return strings.ToUpper(args[0].(string)), nil
	case "double":
		return float(args[0]), nil
	}
	panic("naive: no operator " + e.Op)
}

// widened makes an int a double where the other side of ?: or ?? is one.
func (e *Expr) widened(i int, v map[string]any) (any, error) {
	x, err := e.Args[i].Eval(v)
	if n, ok := x.(int64); ok && e.Type == Double {
		return float64(n), err
	}
	return x, err
}

// logic is three-valued, from left to right.
func (e *Expr) logic(v map[string]any) (any, error) {
	decides := e.Op == "or"
	a, err := e.Args[0].Eval(v)
	if err != nil || a == decides {
		return a, err
	}
	b, err := e.Args[1].Eval(v)
	if err != nil || b == decides {
		return b, err
	}
	if a == nil || b == nil {
		return nil, nil
	}
	return !decides, nil
}

func arithmetic(op string, x, y any) (any, error) {
	if s, ok := x.(string); ok {
		return s + y.(string), nil
	}
	a, okA := x.(int64)
	b, okB := y.(int64)
	if !okA || !okB {
		f, g := float(x), float(y)
		switch op {
		case "+":
			return f + g, nil
		case "-":
			return f - g, nil
		}
		return f * g, nil
	}
	switch op {
	case "+":
		if s := a + b; (s > a) == (b > 0) {
			return s, nil
		}
		return nil, errOverflow
	case "-":
		if s := a - b; (s < a) == (b > 0) {
			return s, nil
		}
		return nil, errOverflow
	}
	if a == 0 || b == 0 {
		return int64(0), nil
	}
	p := a * b
	if p/b != a || a == -1 && b == math.MinInt64 || b == -1 && a == math.MinInt64 {
		return nil, errOverflow
	}
	return p, nil
}

func float(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v.(float64)
}

// Compare orders two values that are not null: numbers by value, texts by
// their bytes, false before true.
func Compare(x, y any) int {
	less := func(l bool) int {
		if l {
			return -1
		}
		return 1
	}
	switch a := x.(type) {
	case string:
		return strings.Compare(a, y.(string))
	case bool:
		if a == y.(bool) {
			return 0
		}
		return less(!a)
	case int64:
		if b, ok := y.(int64); ok {
			if a == b {
				return 0
			}
			return less(a < b)
		}
	}
	return exact(x).Cmp(exact(y)) // an int need not fit a double
}

func exact(v any) *big.Float {
	if i, ok := v.(int64); ok {
		return new(big.Float).SetInt64(i)
	}
	return big.NewFloat(v.(float64))
}
