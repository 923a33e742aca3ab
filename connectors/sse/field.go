package sse

import (
	"encoding/json"
	"strconv"
)

// EachMember calls f with each name (in its quotes) and value of a JSON object
// until it says false; it tells whether it never did. Text that is no JSON
// gives garbage, or false; a view's rows were checked when they were read.
func EachMember(obj []byte, f func(name, value []byte) bool) bool {
	i := skipSpace(obj, 0)
	if i >= len(obj) || obj[i] != '{' {
		return false
	}
	for i = skipSpace(obj, i+1); i < len(obj) && obj[i] == '"'; i = skipSpace(obj, i+1) {
		end := skipString(obj, i)
		name := obj[i:end]
		if i = skipSpace(obj, end); i >= len(obj) || obj[i] != ':' {
			return false
		}
		from := skipSpace(obj, i+1)
		i = skipValue(obj, from)
		if i == from || !f(name, obj[from:i]) {
			return false
		}
		if i = skipSpace(obj, i); i >= len(obj) || obj[i] != ',' {
			break
		}
	}
	return i < len(obj) && obj[i] == '}'
}

// field finds a top-level field of a JSON object without decoding the rest.
// The object must be valid JSON (the view checks each row once); of a name
// that stands twice the last one counts, as in JavaScript.
func field(obj []byte, name string) (raw []byte, ok bool) {
	EachMember(obj, func(quoted, value []byte) bool {
		if named(quoted, name) {
			raw, ok = value, true
		}
		return true
	})
	return raw, ok
}

// named compares a quoted JSON string with a name.
func named(quoted []byte, name string) bool {
	if len(quoted) == len(name)+2 && string(quoted[1:len(quoted)-1]) == name {
		return true
	}
	for _, c := range quoted {
		if c == '\\' {
			var s string
			return json.Unmarshal(quoted, &s) == nil && s == name
		}
	}
	return false
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString is called at a quote and gives the place after the closing one.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return i
	}
	switch b[i] {
	case '"':
		return min(skipString(b, i), len(b))
	case '{', '[':
		for depth := 0; i < len(b); i++ {
			switch b[i] {
			case '"':
				i = skipString(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return len(b)
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

// text is a JSON value as a filter writes it: a string without its quotes,
// anything else as it stands.
func text(raw []byte) string {
	if len(raw) > 0 && raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	}
	return string(raw)
}

// intField reads an integer field; ok is false where it is none.
func intField(obj []byte, name string) (int64, bool) {
	raw, ok := field(obj, name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(text(raw), 10, 64)
	return n, err == nil
}
