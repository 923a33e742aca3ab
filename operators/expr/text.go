package expr

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// concat is + of strings, built in the batch's arena.
func concat(x, y *node) *node {
	return rowwise(tString, []*node{x, y}, func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		v, w := in[0].Strs[i], in[1].Strs[i]
		switch {
		case w == "":
			out.Strs[i] = v
		case v == "":
			out.Strs[i] = w
		case len(v)+len(w) > maxTextValue:
			return errTooLong
		default:
			buf := append(f.bytes(len(v)+len(w)), v...)
			out.Strs[i] = f.keep(append(buf, w...))
		}
		return nil
	})
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
	switch op {
	case "contains":
		return textTest(strings.Contains, x, y), nil
	case "startsWith":
		return textTest(strings.HasPrefix, x, y), nil
	case "endsWith":
		return textTest(strings.HasSuffix, x, y), nil
	}
	return matches(x, y)
}

func textTest(test func(a, b string) bool, x, y *node) *node {
	return safe(fn2(tBool, x, y, strs, strs, bools, func(a, b string) (bool, error) { return test(a, b), nil }), x, y)
}

// safe marks a function that cannot fail by itself.
func safe(n *node, args ...*node) *node {
	n.fails = false
	for _, a := range args {
		n.fails = n.fails || a.fails
	}
	return n
}

// texts checks that all arguments are strings.
func (k call) texts() error {
	for i, a := range k.args {
		if a.t != tString {
			return k.wrong(i)
		}
	}
	return nil
}

// textFn makes a function of texts, one, two or three.
func textFn(do func(a []string) (string, error)) func(*compiler, call) (*node, error) {
	return func(_ *compiler, k call) (*node, error) {
		if err := k.texts(); err != nil {
			return nil, err
		}
		args := make([]string, len(k.args))
		return rowwise(tString, k.args, func(_ *frame, i int32, in []*engine.Column, out *engine.Column) (err error) {
			for n, c := range in {
				args[n] = c.Strs[i]
			}
			out.Strs[i], err = do(args)
			if err == nil && len(out.Strs[i]) > maxTextValue {
				err = errTooLong
			}
			return err
		}), nil
	}
}

func lower(a []string) (string, error) { return strings.ToLower(a[0]), nil }
func upper(a []string) (string, error) { return strings.ToUpper(a[0]), nil }

func trim(a []string) (string, error) {
	if len(a) == 1 {
		return strings.TrimSpace(a[0]), nil
	}
	return strings.Trim(a[0], a[1]), nil
}

func trimPrefix(a []string) (string, error) { return strings.TrimPrefix(a[0], a[1]), nil }
func trimSuffix(a []string) (string, error) { return strings.TrimSuffix(a[0], a[1]), nil }

func replace(a []string) (string, error) {
	if len(a[2]) > len(a[1]) {
		if n := strings.Count(a[0], a[1]); n*(len(a[2])-len(a[1])) > maxTextValue {
			return "", errTooLong
		}
	}
	return strings.ReplaceAll(a[0], a[1], a[2]), nil
}

func toBase64(a []string) (string, error) {
	return base64.StdEncoding.EncodeToString([]byte(a[0])), nil
}

func fromBase64(a []string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(a[0])
	if err != nil {
		return "", fmt.Errorf("fromBase64(%s): it is no base64", quote(a[0]))
	}
	return string(b), nil
}

func hasPrefix(_ *compiler, k call) (*node, error) {
	if err := k.texts(); err != nil {
		return nil, err
	}
	return textTest(strings.HasPrefix, k.args[0], k.args[1]), nil
}

func hasSuffix(_ *compiler, k call) (*node, error) {
	if err := k.texts(); err != nil {
		return nil, err
	}
	return textTest(strings.HasSuffix, k.args[0], k.args[1]), nil
}

// indexOf and lastIndexOf count in characters; -1 where the text is not there.
func indexOf(find func(s, part string) int) func(*compiler, call) (*node, error) {
	return func(_ *compiler, k call) (*node, error) {
		if err := k.texts(); err != nil {
			return nil, err
		}
		return safe(fn2(tInt, k.args[0], k.args[1], strs, strs, ints, func(s, part string) (int64, error) {
			i := find(s, part)
			if i < 0 {
				return -1, nil
			}
			return int64(utf8.RuneCountInString(s[:i])), nil
		}), k.args...), nil
	}
}

// repeat is repeat(s, n).
func repeat(_ *compiler, k call) (*node, error) {
	if k.args[0].t != tString {
		return nil, k.wrong(0)
	}
	if k.args[1].t != tInt {
		return nil, k.wrong(1)
	}
	return fn2(tString, k.args[0], k.args[1], strs, ints, strs, func(s string, n int64) (string, error) {
		switch {
		case n < 0:
			return "", fmt.Errorf("repeat(s, %d): less than nothing", n)
		case s == "" || n == 0:
			return "", nil
		case n > maxTextValue/int64(len(s)):
			return "", errTooLong
		}
		return strings.Repeat(s, int(n)), nil
	}), nil
}

// length is len(x): characters of text, bytes of bytes, elements of a list,
// members of a JSON object.
func length(_ *compiler, k call) (*node, error) {
	x := k.args[0]
	switch {
	case x.t == tString:
		return safe(fn1(tInt, x, strs, ints, func(s string) (int64, error) { return int64(utf8.RuneCountInString(s)), nil }), x), nil
	case x.t == tBytes:
		return safe(fn1(tInt, x, strs, ints, func(s string) (int64, error) { return int64(len(s)), nil }), x), nil
	case x.t.k == engine.Any:
		return fn1(tInt, x, strs, ints, func(s string) (int64, error) {
			switch kindOf(s) {
			case '"':
				return int64(utf8.RuneCountInString(scalar(s).text)), nil
			case '[':
				return int64(countElements(s)), nil
			case '{':
				n := int64(0)
				members(s, func(string, string) bool { n++; return true })
				return n, nil
			}
			return 0, cannotConvert("len", s)
		}), nil
	}
	return nil, k.wrong(0)
}

// mask is mask(s, keep): all characters but the first keep become *.
func mask(_ *compiler, k call) (*node, error) {
	if k.args[0].t != tString {
		return nil, k.wrong(0)
	}
	if k.args[1].t != tInt {
		return nil, k.wrong(1)
	}
	return fn2(tString, k.args[0], k.args[1], strs, ints, strs, func(s string, keep int64) (string, error) {
		if keep < 0 {
			return "", fmt.Errorf("mask(s, %d): it keeps less than nothing", keep)
		}
		head := slice(s, 0, keep, false)
		return head + strings.Repeat("*", utf8.RuneCountInString(s[len(head):])), nil
	}), nil
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

// regexMatch is regex_match(s, pattern).
func regexMatch(_ *compiler, k call) (*node, error) {
	if err := k.texts(); err != nil {
		return nil, err
	}
	return matches(k.args[0], k.args[1])
}

// regexReplace is regex_replace(s, pattern, by); by may hold $1 or ${name}.
func regexReplace(_ *compiler, k call) (*node, error) {
	if err := k.texts(); err != nil {
		return nil, err
	}
	re, err := constRegexp(k.args[1])
	if err != nil {
		return nil, err
	}
	return fn2(tString, k.args[0], k.args[2], strs, strs, strs, func(s, by string) (string, error) {
		if (len(s)+1)*(len(by)+1) > maxTextValue && len(re.ReplaceAllString(s, by)) > maxTextValue {
			return "", errTooLong
		}
		return re.ReplaceAllString(s, by), nil
	}), nil
}

// regexExtract is regex_extract(s, pattern) or with the number of a group:
// the first match (its first group, where the pattern has one), or null.
func regexExtract(_ *compiler, k call) (*node, error) {
	if k.args[0].t != tString {
		return nil, k.wrong(0)
	}
	re, err := constRegexp(k.args[1])
	if err != nil {
		return nil, err
	}
	group := min(1, re.NumSubexp())
	if len(k.args) == 3 {
		g := k.args[2]
		if g.konst == nil || g.t != tInt || g.konst.num < 0 || g.konst.num > int64(re.NumSubexp()) {
			return nil, g.at.errorf("", "the group is a constant from 0 to %d", re.NumSubexp())
		}
		group = int(g.konst.num)
	}
	return safe(fn1(tString, k.args[0], strs, strs, func(s string) (string, error) {
		m := re.FindStringSubmatchIndex(s)
		if m == nil || m[2*group] < 0 {
			return "", errNull
		}
		return s[m[2*group]:m[2*group+1]], nil
	}), k.args[0]), nil
}

var errBadSlice = errors.New("a slice of neither text nor a list")

// slicing is x[from:to] of text, in characters, and of lists.
func (c *compiler) slicing(n *ast.SliceNode, at span) (*node, error) {
	x, err := c.compile(n.Node)
	if err != nil {
		return nil, err
	}
	ends := [2]*node{constant(IntValue(0)), constant(IntValue(0))}
	for i, e := range []ast.Node{n.From, n.To} {
		if e == nil {
			continue
		}
		if ends[i], err = c.compile(e); err != nil {
			return nil, err
		}
		if ends[i].t != tInt && !ends[i].t.null() {
			return nil, ends[i].at.errorf("", "the ends of a slice are ints, not %s", ends[i].t)
		}
	}
	if x.t.null() || ends[0].t.null() || ends[1].t.null() {
		return constant(Value{}), nil
	}
	if x.t != tString && x.t.k != engine.Any {
		return nil, at.errorf("", "%s has no slices", x.t)
	}
	open, isText := n.To == nil, x.t == tString
	out := rowwise(x.t, []*node{x, ends[0], ends[1]}, func(_ *frame, i int32, in []*engine.Column, out *engine.Column) error {
		s, from, to := in[0].Strs[i], in[1].Ints[i], in[2].Ints[i]
		switch {
		case isText:
			out.Strs[i] = slice(s, from, to, open)
		case kindOf(s) == '[':
			out.Strs[i] = sliceList(s, from, to, open)
		default:
			return errBadSlice
		}
		return nil
	})
	return fold(out, x, ends[0], ends[1]), nil
}

// slice is s[from:to] in characters; negative places count from the end, and
// open takes everything from from on.
func slice(s string, from, to int64, open bool) string {
	if from < 0 || to < 0 {
		from, to = fromEnd(from, to, int64(utf8.RuneCountInString(s)))
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

// fromEnd resolves negative places of n.
func fromEnd(from, to, n int64) (int64, int64) {
	if from < 0 {
		from = max(0, from+n)
	}
	if to < 0 {
		to = max(0, to+n)
	}
	return from, to
}

// sliceList is list[from:to]; its elements lie side by side in the text.
func sliceList(s string, from, to int64, open bool) string {
	if from < 0 || to < 0 {
		from, to = fromEnd(from, to, int64(countElements(s)))
	}
	if !open && to <= from {
		return "[]"
	}
	out := []byte{'['}
	var k int64
	elements(s, func(e string) bool {
		if k >= from {
			if len(out) > 1 {
				out = append(out, ',')
			}
			out = append(out, e...)
		}
		k++
		return open || k < to
	})
	return string(append(out, ']'))
}
