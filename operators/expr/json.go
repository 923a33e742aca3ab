package expr

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// Values of type any and lists are JSON text. What is read from it is a piece
// of that text, so nothing is copied before a value is asked for. The text was
// checked when it was decoded; on text that is no JSON after all these
// functions find nothing, and do not panic.

const maxJSONDepth = 10000 // as encoding/json

func skipJSONSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// skipJSONString gives the place after the string that opens at i, or -1.
func skipJSONString(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// skipJSON gives the place after the value at i, or -1.
func skipJSON(s string, i int) int {
	if i >= len(s) {
		return -1
	}
	switch s[i] {
	case '"':
		return skipJSONString(s, i)
	case '{', '[':
		for depth := 0; i < len(s); {
			switch s[i] {
			case '"':
				if i = skipJSONString(s, i); i < 0 {
					return -1
				}
				continue
			case '{', '[':
				if depth++; depth > maxJSONDepth {
					return -1
				}
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return -1
	case ',', ':', '}', ']':
		return -1
	}
	for i < len(s) && !strings.ContainsRune(",:}] \t\r\n", rune(s[i])) {
		i++
	}
	return i
}

// elements calls f with each element of a JSON list until it says false. It
// tells whether s is a list.
func elements(s string, f func(elem string) bool) bool {
	i := skipJSONSpace(s, 0)
	if i >= len(s) || s[i] != '[' {
		return false
	}
	i = skipJSONSpace(s, i+1)
	for i < len(s) && s[i] != ']' {
		end := skipJSON(s, i)
		if end < 0 || !f(s[i:end]) {
			return true
		}
		i = skipJSONSpace(s, end)
		if i < len(s) && s[i] == ',' {
			i = skipJSONSpace(s, i+1)
		}
	}
	return true
}

// members calls f with each key (as written, in quotes) and value of a JSON
// object until it says false. It tells whether s is an object.
func members(s string, f func(key, value string) bool) bool {
	i := skipJSONSpace(s, 0)
	if i >= len(s) || s[i] != '{' {
		return false
	}
	i = skipJSONSpace(s, i+1)
	for i < len(s) && s[i] == '"' {
		keyEnd := skipJSONString(s, i)
		if keyEnd < 0 {
			return true
		}
		key := s[i:keyEnd]
		i = skipJSONSpace(s, keyEnd)
		if i >= len(s) || s[i] != ':' {
			return true
		}
		i = skipJSONSpace(s, i+1)
		end := skipJSON(s, i)
		if end < 0 || !f(key, s[i:end]) {
			return true
		}
		i = skipJSONSpace(s, end)
		if i < len(s) && s[i] == ',' {
			i = skipJSONSpace(s, i+1)
		}
	}
	return true
}

// memberOf gives an object's value of a key, the last one as encoding/json
// does, or "" where there is none.
func memberOf(s, key string) string {
	found := ""
	members(s, func(k, v string) bool {
		if k[1:len(k)-1] == key || strings.IndexByte(k, '\\') >= 0 && textOf(k) == key {
			found = v
		}
		return true
	})
	return found
}

// elementOf gives element i of a list, counted from the end where negative, or "".
func elementOf(s string, i int64) string {
	if i < 0 {
		i += int64(countElements(s))
	}
	found := ""
	elements(s, func(e string) bool {
		if i == 0 {
			found = e
		}
		i--
		return i >= 0
	})
	return found
}

func countElements(s string) int {
	n := 0
	elements(s, func(string) bool { n++; return true })
	return n
}

// kindOf is the first byte of a value that says what it is: { [ " t f n, 0 for
// numbers, and n for nothing at all.
func kindOf(s string) byte {
	i := skipJSONSpace(s, 0)
	if i == len(s) {
		return 'n'
	}
	switch c := s[i]; c {
	case '{', '[', '"', 't', 'f', 'n':
		return c
	}
	return '0'
}

func jsonKind(s string) string {
	switch kindOf(s) {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a bool"
	case 'n':
		return "null"
	}
	return "a number"
}

// textOf decodes a JSON string with its quotes; without escapes it is a piece of s.
func textOf(s string) string {
	if len(s) < 2 {
		return ""
	}
	s = s[1 : len(s)-1]
	at := strings.IndexByte(s, '\\')
	if at < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:at]...)
	for i := at; i < len(s); i++ {
		c := s[i]
		if c != '\\' || i+1 >= len(s) {
			out = append(out, c)
			continue
		}
		i++
		switch s[i] {
		case 'n':
			out = append(out, '\n')
		case 't':
			out = append(out, '\t')
		case 'r':
			out = append(out, '\r')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'u':
			r, ok := hex4(s, i+1)
			if !ok {
				return string(out)
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if strings.HasPrefix(s[i+1:], `\u`) {
					low, ok = hex4(s, i+3)
				}
				if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	n, err := strconv.ParseUint(s[i:i+4], 16, 32)
	return rune(n), err == nil
}

// scalar reads a JSON value as a constant: a whole number is an int where it
// fits, any other a double; lists and objects stay any.
func scalar(s string) Value {
	s = strings.TrimSpace(s)
	switch kindOf(s) {
	case '"':
		return StringValue(textOf(s))
	case 't':
		return BoolValue(true)
	case 'f':
		return BoolValue(false)
	case 'n':
		return Value{}
	case '{', '[':
		return Value{Type: engine.Any, text: s}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return IntValue(n)
	}
	d, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(d, 0) {
		return Value{}
	}
	return DoubleValue(d)
}

// elemValue reads a list's element as type t; ok is false where it is another.
func elemValue(s string, t engine.Type) (v Value, ok bool) {
	if kindOf(s) == 'n' {
		return Value{}, true
	}
	if t == engine.Any {
		return Value{Type: engine.Any, text: s}, true
	}
	v = scalar(s)
	switch {
	case t == engine.Double && v.Type == engine.Int:
		return DoubleValue(float64(v.num)), true
	case t == engine.Timestamp && v.Type == engine.Int:
		return TimestampValue(v.num), true
	}
	return v, v.Type == t
}

// listFromJSON gives a list constant its elements.
func listFromJSON(v Value) Value {
	if v.Null() {
		return v
	}
	elements(v.text, func(e string) bool {
		it, _ := elemValue(e, v.elem)
		v.items = append(v.items, it)
		return true
	})
	return v
}

// equalJSON compares two JSON values: numbers exactly, objects in any order.
func equalJSON(a, b string) bool {
	x, y := scalar(a), scalar(b)
	if x.Type != engine.Any || y.Type != engine.Any {
		c, ok := compareValues(x, y)
		return ok && c == 0
	}
	if a == b {
		return true
	}
	return reflect.DeepEqual(canonical(a), canonical(b))
}

func canonical(s string) any {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return canonicalNumbers(v)
}

// canonicalNumbers makes 1, 1.0 and 1e0 one value.
func canonicalNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		n := scalar(string(v))
		if n.Type == engine.Double && n.dbl == math.Trunc(n.dbl) && n.dbl >= -(1<<63) && n.dbl < 1<<63 {
			return int64(n.dbl)
		}
		if n.Type == engine.Double {
			return n.dbl
		}
		return n.num
	case []any:
		for i := range v {
			v[i] = canonicalNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = canonicalNumbers(v[k])
		}
	}
	return v
}

// keyOf gives equal JSON values, and only these, the same text.
func keyOf(s string) string {
	if kindOf(s) == '"' {
		return `"` + scalar(s).text
	}
	key, err := json.Marshal(canonical(s))
	if err != nil { // 1e999 has no JSON
		return strings.TrimSpace(s)
	}
	return string(key)
}
