package patch

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Hash is the hash of a value of Decode, 16 hex digits.
func Hash(v any) string {
	h := fnv.New64a()
	_, _ = h.Write(appendCanonical(nil, v))
	return fmt.Sprintf("%016x", h.Sum64())
}

// appendCanonical writes a value as JavaScript's JSON.stringify does, members
// sorted by name.
func appendCanonical(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case string:
		return appendString(dst, v)
	case json.Number:
		return appendNumber(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, x := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendCanonical(dst, x)
		}
		return append(dst, ']')
	case map[string]any:
		names := make([]string, 0, len(v))
		for n := range v {
			names = append(names, n)
		}
		slices.SortFunc(names, compareUTF16)
		dst = append(dst, '{')
		for i, n := range names {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, n), ':')
			dst = appendCanonical(dst, v[n])
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("hash a value that is not from Decode: %T", v))
}

// compareUTF16 orders names as JavaScript does.
func compareUTF16(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] >= 0x80 || b[i] >= 0x80 {
			return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
		}
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			if c < ' ' {
				dst = fmt.Appendf(dst, `\u%04x`, c)
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"')
}

// appendNumber writes a number as JavaScript does; what a double cannot hold
// is Infinity there, which JSON writes as null.
func appendNumber(dst []byte, n json.Number) []byte {
	f, _ := strconv.ParseFloat(string(n), 64)
	switch {
	case math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == 0:
		return append(dst, '0')
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	s := strconv.FormatFloat(f, 'e', -1, 64) // 1e-07, 1.5e+21
	mantissa, exponent, _ := strings.Cut(s, "e")
	return append(append(append(append(dst, mantissa...), 'e'), exponent[0]), strings.TrimLeft(exponent[1:], "0")...)
}
