package expr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"github.com/leatstream/leat/engine"
)

// Error says what is wrong with an expression's text, and where.
type Error struct {
	Offset int    // byte offset in the text
	Len    int    // bytes; at least 1 but at the end of the text
	Msg    string // unknown column "amout"
	Hint   string // did you mean "amount"?; "" for none
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + ": " + e.Hint
}

// span is a piece of the text in bytes.
type span struct{ off, len int }

func (s span) errorf(hint, format string, args ...any) *Error {
	return &Error{Offset: s.off, Len: s.len, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// source maps the parser's positions, which count runes, to bytes.
type source string

func (s source) span(l file.Location) span {
	from := s.byteOf(l.From)
	to := from
	if l.To > l.From {
		to = from + source(s[from:]).byteOf(l.To-l.From)
	} else if from < len(s) {
		_, size := utf8.DecodeRuneInString(string(s[from:]))
		to = from + size
	}
	return span{from, to - from}
}

func (s source) byteOf(rune int) int {
	for i := range string(s) {
		if rune == 0 {
			return i
		}
		rune--
	}
	return len(s)
}

func (s source) of(n ast.Node) span {
	switch n := n.(type) {
	case *ast.ConditionalNode: // the parser's own place is behind the end, or none
		return s.of(n.Cond)
	case *ast.ChainNode:
		return s.of(n.Node)
	}
	return s.span(n.Location())
}

// parseError translates an error of expr's parser.
func parseError(text string, err error) *Error {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return &Error{Len: len(text), Msg: err.Error()}
	}
	at := source(text).span(fe.Location)
	msg, hint := fe.Message, ""
	if kind, rest, ok := strings.Cut(msg, "("); ok && strings.HasPrefix(kind, "unexpected token ") {
		if token, err := strconv.Unquote(strings.TrimSuffix(rest, ")")); err == nil {
			msg = fmt.Sprintf("unexpected %q", token)
			switch token {
			case ".", "#":
				if name, at, ok := callAround(text, at.off); ok {
					return at.errorf(didYouMean(name, predicateNames()), "%s() has no expression over elements", name)
				}
			case "=":
				hint = `"==" compares`
			case "&", "|":
				hint = fmt.Sprintf("logic is written %q", map[string]string{"&": "and", "|": "or"}[token])
			}
		}
	}
	switch {
	case strings.HasPrefix(msg, "unexpected token EOF"):
		at, msg = span{len(text), 0}, "unexpected end of the expression"
	case strings.HasPrefix(msg, "literal not terminated"):
		msg = "the string is not closed"
	case strings.HasPrefix(msg, "invalid ") && strings.Contains(msg, " literal: "):
		at, msg = before(text, at.off), "the number is none, or does not fit"
	}
	return at.errorf(hint, "%s", msg)
}

// callAround is the name of the call whose brackets a place is in, where that
// is no list function: only these take # and .name.
func callAround(text string, off int) (name string, at span, ok bool) {
	depth := 0
	for i := off - 1; i > 0; i-- {
		switch text[i] {
		case ')', ']', '}':
			depth++
		case '(', '[', '{':
			depth--
		}
		if depth < 0 && text[i] != '(' {
			return "", span{}, false
		}
		if depth >= 0 {
			continue
		}
		start := i
		for start > 0 && nameByte(text[start-1], true) {
			start--
		}
		name = text[start:i]
		_, known := predicates[name]
		return name, span{start, i - start}, name != "" && !known
	}
	return "", span{}, false
}

func predicateNames() []string { return slices.Sorted(maps.Keys(predicates)) }

// before is the word that ends before a place, where the parser notices late.
func before(text string, off int) span {
	word := strings.TrimRight(text[:off], " \t\r\n")
	if off == len(text)-1 && strings.TrimSpace(text[off:]) != "" {
		word = text
	}
	start := strings.LastIndexAny(word, " \t\r\n()[]{},+-*/%<>=") + 1
	return span{start, len(word) - start}
}

// didYouMean suggests the nearest of names, or nothing.
func didYouMean(name string, names []string) string {
	best, limit := "", 1+len(name)/4
	for _, n := range names {
		if strings.EqualFold(n, name) {
			best = n
			break
		}
		if d := engine.Distance(name, n); d <= limit {
			best, limit = n, d-1
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}
