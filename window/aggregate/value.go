package aggregate

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// Values of any type as bytes, in the order of the values: numbers as their
// rank with the highest byte first, a bool as one byte, text as it is.

// raw is the value at row, which is not null; it may stand in buf.
func raw(c *Column, row int32, buf *[8]byte) []byte {
	switch c.Type {
	case Int, Timestamp:
		binary.BigEndian.PutUint64(buf[:], rankInt(c.Ints[row]))
		return buf[:]
	case Double:
		binary.BigEndian.PutUint64(buf[:], rankDouble(c.Doubles[row]))
		return buf[:]
	case Bool:
		buf[0] = 0
		if c.Bools[row] {
			buf[0] = 1
		}
		return buf[:1]
	}
	return bytesOf(c.Strs[row])
}

// distinct is raw where 0 and -0 are one value.
func distinct(c *Column, row int32, buf *[8]byte) []byte {
	if c.Type == Double && c.Doubles[row] == 0 {
		binary.BigEndian.PutUint64(buf[:], rankDouble(0))
		return buf[:]
	}
	return raw(c, row, buf)
}

// width is the length of a type's raw bytes, 0 where it varies.
func width(t Type) int {
	switch t {
	case Int, Timestamp, Double:
		return 8
	case Bool:
		return 1
	}
	return 0
}

// setRaw writes a raw value into a column.
func setRaw(out *Column, row int32, t Type, b []byte) {
	switch t {
	case Int, Timestamp:
		out.setInt(row, unrankInt(binary.BigEndian.Uint64(b)))
	case Double:
		out.setDouble(row, unrankDouble(binary.BigEndian.Uint64(b)))
	case Bool:
		out.setBool(row, b[0] != 0)
	default:
		out.setStr(row, string(b))
	}
}

// appendJSON appends a raw value as JSON. NaN and infinities, which JSON has
// not, are null; bytes are base64; timestamps epoch milliseconds.
func appendJSON(dst []byte, t Type, b []byte) []byte {
	switch t {
	case Int, Timestamp:
		return strconv.AppendInt(dst, unrankInt(binary.BigEndian.Uint64(b)), 10)
	case Double:
		return appendDouble(dst, unrankDouble(binary.BigEndian.Uint64(b)))
	case Bool:
		return strconv.AppendBool(dst, b[0] != 0)
	case String:
		return appendText(dst, b)
	case Bytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, b)
		return append(dst, '"')
	}
	return append(dst, b...)
}

// appendDouble appends the shortest text that reads back as v.
func appendDouble(dst []byte, v float64) []byte {
	if !finite(v) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, 64)
}

// appendText appends a JSON string. What is not UTF-8 becomes U+FFFD.
func appendText(dst, b []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', b[0])
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		case r == utf8.RuneError && n == 1:
			dst = append(dst, "\uFFFD"...)
		default:
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	return append(dst, '"')
}

// room rounds a length up, so that what grows byte by byte is moved rarely. It
// is what the cells of the engine's heap hold: powers of two and the middles
// between them, less 8 bytes.
func room(n int) int {
	size := 16
	for size-8 < n {
		if next := size + size/2; next-8 >= n {
			return next - 8
		}
		size *= 2
	}
	return size - 8
}
