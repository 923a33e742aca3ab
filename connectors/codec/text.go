package codec

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// appendUnquoted appends the text of a valid string, given without its quotes:
// escapes replaced, and each byte of invalid UTF-8 and each lone surrogate
// become U+FFFD, as encoding/json has it. It never needs more than 3 bytes for
// one of raw.
func appendUnquoted(dst, raw []byte) []byte {
	for p := 0; p < len(raw); {
		c := raw[p]
		if c != '\\' {
			next := bytes.IndexByte(raw[p:], '\\')
			if next < 0 {
				next = len(raw) - p
			}
			dst = appendValid(dst, raw[p:p+next])
			p += next
			continue
		}
		switch raw[p+1] {
		case 'u':
			r := unescape(raw[p:])
			p += 6
			if utf16.IsSurrogate(r) {
				pair := utf16.DecodeRune(r, unescape(raw[p:]))
				if pair != utf8.RuneError {
					p += 6
				}
				r = pair
			}
			dst = utf8.AppendRune(dst, r)
			continue
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		default: // quote, backslash, slash
			c = raw[p+1]
		}
		dst = append(dst, c)
		p += 2
	}
	return dst
}

// unescape is the code unit of the \uXXXX that b begins with, or -1.
func unescape(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		r = r<<4 | hexValue(c)
	}
	return r
}

// hexValue is the value of a hexadecimal digit, or -1.
func hexValue(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}

// appendValid appends b with each byte of invalid UTF-8 replaced by U+FFFD.
func appendValid(dst, b []byte) []byte {
	if utf8.Valid(b) {
		return append(dst, b...)
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		dst = utf8.AppendRune(dst, r)
		b = b[n:]
	}
	return dst
}

// appendOneLine appends a valid JSON value without the white space between its
// tokens and with its UTF-8 made valid, so that it can be part of a line.
func appendOneLine(dst, raw []byte) []byte {
	inside := false
	start := len(dst)
	dst = appendValid(dst, raw)
	out := dst[:start]
	for p := start; p < len(dst); p++ {
		c := dst[p]
		switch {
		case inside && c == '\\':
			out = append(out, c)
			p++
			c = dst[p]
		case c == '"':
			inside = !inside
		case !inside && (c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			continue
		}
		out = append(out, c)
	}
	return out
}
