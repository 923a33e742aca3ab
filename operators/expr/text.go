package expr

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// concat is + of strings, built in the batch's arena.
func concat(x, y *node) *node {
	var s scratch
	return &node{t: tString, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		a, b := x.eval(f, sel), y.eval(f, sel)
		out := s.reset(engine.String, f.n)
		for _, i := range sel {
			v, w := a.Strs[i], b.Strs[i]
			switch {
			case a.Null(i) || b.Null(i):
				s.setNull(i, f.n)
			case w == "":
				out.Strs[i] = v
			case v == "":
				out.Strs[i] = w
			case len(v)+len(w) > maxTextValue:
				s.failed(f, i, errTooLong)
			default:
				buf := append(f.bytes(len(v)+len(w)), v...)
				out.Strs[i] = f.keep(append(buf, w...))
			}
		}
		return out
	}}
}

func (c *compiler) textOperator(op string, x, y *node, at span) (*node, error) {
	if x.t.null() || y.t.null() {
		return constant(Value{}), nil
	}
	for _, n := range []*node{x, y} {
		if n.t != tString {
			hint := ""
			if n.t.any() {
				hint = "string(x) makes text"
			}
			return nil, n.at.errorf(hint, "%s needs strings, not %s", op, n.t)
		}
	}
	test := strings.Contains
	switch op {
	case "startsWith":
		test = strings.HasPrefix
	case "endsWith":
		test = strings.HasSuffix
	case "matches":
		return matches(x, y)
	}
	return safe(fn2(tBool, x, y, strs, strs, bools, func(a, b string) (bool, error) { return test(a, b), nil }), x, y), nil
}

// safe marks a function that cannot fail by itself.
func safe(n *node, args ...*node) *node {
	n.fails = false
	for _, a := range args {
		n.fails = n.fails || a.fails
	}
	return n
}

func matches(x, pattern *node) (*node, error) {
	re, err := constRegexp(pattern)
	if err != nil {
		return nil, err
	}
	return safe(fn1(tBool, x, strs, bools, func(s string) (bool, error) { return re.MatchString(s), nil }), x), nil
}

// constRegexp compiles a pattern that must be known beforehand (RE2 syntax, so
// time is linear in the text).
func constRegexp(pattern *node) (*regexp.Regexp, error) {
	if pattern.konst == nil || pattern.t != tString {
		return nil, pattern.at.errorf("", "a pattern must be a constant text")
	}
	re, err := regexp.Compile(pattern.konst.text)
	if err != nil {
		return nil, pattern.at.errorf("", "the pattern is wrong: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

// slice is s[from:to] in characters; negative places count from the end, and
// open takes everything from from on.
func slice(s string, from, to int64, open bool) string {
	if from < 0 || to < 0 {
		n := int64(utf8.RuneCountInString(s))
		if from < 0 {
			from = max(0, from+n)
		}
		if to < 0 {
			to += n
		}
	}
	start, end := len(s), len(s)
	var k int64
	for i := range s {
		if k == from {
			start = i
		}
		if k == to && !open {
			end = i
			break
		}
		k++
	}
	if !open && to <= from {
		return ""
	}
	return s[start:end]
}
