package expr

import "strings"

// Arg is one argument of a call that was cut off.
type Arg struct {
	Text   string
	Offset int // of Text in the text given to Call, bytes
}

// Call cuts the outermost call off an expression, as aggregates need it
// (expr's own parser takes count() and any(x) for something else):
//
//	sum(price * qty)   ──▶  sum   ["price * qty"]
//	count()            ──▶  count []
//
// ok is false where the text is not one call from end to end. Brackets and
// strings are respected; where they do not close err is an *Error.
func Call(text string) (fn string, args []Arg, ok bool, err error) {
	i := skipSpace(text, 0)
	start := i
	for i < len(text) && nameByte(text[i], i > start) {
		i++
	}
	fn = text[start:i]
	i = skipSpace(text, i)
	if fn == "" || i == len(text) || text[i] != '(' {
		return "", nil, false, nil
	}
	open := i
	var depth []byte // closing brackets awaited
	from := i + 1
	cut := func(to int) error {
		arg := text[from:to]
		trimmed := strings.TrimSpace(arg)
		if trimmed == "" {
			return span{to, 1}.errorf("", "%s(): an argument is empty", fn)
		}
		args = append(args, Arg{trimmed, from + strings.Index(arg, trimmed)})
		from = to + 1
		return nil
	}
	for i < len(text) {
		switch c := text[i]; c {
		case '(':
			depth = append(depth, ')')
		case '[':
			depth = append(depth, ']')
		case '{':
			depth = append(depth, '}')
		case ')', ']', '}':
			if depth[len(depth)-1] != c {
				return "", nil, false, span{i, 1}.errorf("", "unexpected %q", c)
			}
			depth = depth[:len(depth)-1]
			if len(depth) > 0 {
				break
			}
			if skipSpace(text, i+1) < len(text) {
				return "", nil, false, nil
			}
			if len(args) > 0 || strings.TrimSpace(text[from:i]) != "" {
				if err := cut(i); err != nil {
					return "", nil, false, err
				}
			}
			return fn, args, true, nil
		case ',':
			if len(depth) == 1 {
				if err := cut(i); err != nil {
					return "", nil, false, err
				}
			}
		case '"', '\'', '`':
			end := closeQuote(text, i)
			if end < 0 {
				return "", nil, false, span{i, 1}.errorf("", "the string is not closed")
			}
			i = end
		case '/':
			if end := closeComment(text, i); end > i {
				i = end - 1
			}
		}
		i++
	}
	return "", nil, false, span{open, 1}.errorf("", "the bracket is not closed")
}

func nameByte(c byte, digits bool) bool {
	return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || digits && c >= '0' && c <= '9'
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// closeQuote finds the end of the string that opens at i, or -1.
func closeQuote(s string, i int) int {
	quote := s[i]
	for i++; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return i
		case s[i] == '\\' && quote != '`':
			i++
		}
	}
	return -1
}

// closeComment finds the byte after a comment that opens at i, or i.
func closeComment(s string, i int) int {
	for _, c := range [][2]string{{"//", "\n"}, {"/*", "*/"}} {
		if !strings.HasPrefix(s[i:], c[0]) {
			continue
		}
		if n := strings.Index(s[i+2:], c[1]); n >= 0 {
			return i + 2 + n + len(c[1])
		}
		return len(s)
	}
	return i
}
