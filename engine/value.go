package engine

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// ValueStyle says how values are written as JSON.
type ValueStyle struct {
	RFC3339 bool // timestamps as text instead of epoch milliseconds
	BigText bool // ints beyond 2^53 as text (the sse sink, for JavaScript)
}

// AppendJSON appends row i of a column as a JSON value. NaN and infinities,
// which JSON has not, are null. Bytes are base64.
func AppendJSON(dst []byte, c *Column, i int32, style ValueStyle) []byte {
	if c.Null(i) {
		return append(dst, "null"...)
	}
	switch c.Type {
	case Int:
		v := c.Ints[i]
		if style.BigText && (v > 1<<53 || v < -(1<<53)) {
			dst = append(dst, '"')
			dst = strconv.AppendInt(dst, v, 10)
			return append(dst, '"')
		}
		return strconv.AppendInt(dst, v, 10)
	case Timestamp:
		if style.RFC3339 {
			dst = append(dst, '"')
			dst = time.UnixMilli(c.Ints[i]).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
			return append(dst, '"')
		}
		return strconv.AppendInt(dst, c.Ints[i], 10)
	case Double:
		return AppendDouble(dst, c.Doubles[i])
	case Bool:
		return strconv.AppendBool(dst, c.Bools[i])
	case String:
		return AppendString(dst, c.Strs[i])
	case Bytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(c.Strs[i]))
		return append(dst, '"')
	default: // Any
		return append(dst, c.Strs[i]...)
	}
}

// AppendText appends row i as plain text, the form of a one-column wire key:
// a string as it is, numbers in decimal, bytes as they are.
func AppendText(dst []byte, c *Column, i int32) []byte {
	switch c.Type {
	case String, Bytes, Any:
		return append(dst, c.Strs[i]...)
	default:
		return AppendJSON(dst, c, i, ValueStyle{})
	}
}

// AppendKey appends the wire key of row i over columns: the text of one
// column, a JSON object of several in the order given. ok is false where a
// single column is null (the record then has a null key).
func AppendKey(dst []byte, b *Batch, cols []int, i int32) (out []byte, ok bool) {
	if len(cols) == 1 {
		c := &b.Cols[cols[0]]
		if c.Null(i) {
			return dst, false
		}
		return AppendText(dst, c, i), true
	}
	dst = append(dst, '{')
	for n, col := range cols {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, b.Schema.Fields[col].Name)
		dst = append(dst, ':')
		dst = AppendJSON(dst, &b.Cols[col], i, ValueStyle{})
	}
	return append(dst, '}'), true
}

// AppendDouble appends a double as JSON, shortest form that reads back equal.
func AppendDouble(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	if a := math.Abs(v); a < 1e15 {
		// Most measured values have few decimals: try exact fixed forms first,
		// an integer division each, before the shortest-float search.
		if v == math.Trunc(v) && (v != 0 || !math.Signbit(v)) {
			return strconv.AppendInt(dst, int64(v), 10)
		}
		if a < 1e11 {
			if s := math.Round(v * 10000); s/10000 == v {
				return appendFixed(dst, int64(s))
			}
		}
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, 64)
}

// appendFixed appends n/10000 without trailing zeros. The quotient reads back
// as the double it came from because |n| < 2^53.
func appendFixed(dst []byte, n int64) []byte {
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	dst = strconv.AppendInt(dst, n/10000, 10)
	frac := n % 10000
	if frac == 0 {
		return dst
	}
	dst = append(dst, '.', byte('0'+frac/1000), byte('0'+frac/100%10), byte('0'+frac/10%10), byte('0'+frac%10))
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
			i++
			start = i
			continue
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
