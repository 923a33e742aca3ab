package codec

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// Errors are made here, behind the fast path, by reading the value again.

// syntax is the error of what the scanner stopped at.
func (d *jsonDecoder) syntax(buf []byte) error {
	switch {
	case len(buf) == 0:
		return fmt.Errorf("empty value, want a JSON object")
	case d.why == whyValue && space(buf, 0) == d.at:
		return fmt.Errorf("want a JSON object, got %s", got(buf[d.at:]))
	case d.at >= len(buf):
		return fmt.Errorf("the record is cut off at byte %d: %s", len(buf), d.why)
	case d.why == whyDepth:
		return fmt.Errorf("byte %d: %s", d.at, d.why)
	}
	r, n := utf8.DecodeRune(buf[d.at:])
	if r == utf8.RuneError && n == 1 {
		return fmt.Errorf("byte %d: %s, got byte %#x", d.at, d.why, buf[d.at])
	}
	return fmt.Errorf("byte %d: %s, got %q", d.at, d.why, r)
}

// wrong is the error of a value at p that s does not take into row i: it is not
// JSON, or not of the column's type.
func (d *jsonDecoder) wrong(s *state, buf []byte, p, i int) error {
	end := d.skip(buf, p, s.in.depth)
	if end < 0 {
		return d.syntax(buf)
	}
	raw := buf[p:end]
	if s.leaf == leafObject {
		return fmt.Errorf("column %q: want an object at %q, got %s", d.schema.Fields[s.of.cols[0]].Name, s.of.path, got(raw))
	}
	if s.leaf == leafSkip || s.leaf == leafStart {
		return d.syntax(buf)
	}
	f := d.schema.Fields[s.col]
	if s.inner != nil { // raw is an object; the error is inside
		return d.object(s.inner, raw, i)
	}
	return fmt.Errorf("column %q: want %s, got %s%s", f.Name, f.Type, got(raw), hint(f, raw))
}

// hint says what is wrong with a value of the right JSON type.
func hint(f engine.Field, raw []byte) string {
	number := raw[0] == '-' || digit(raw[0])
	switch {
	case f.Type == engine.Double && number:
		return ", out of range"
	case (f.Type == engine.Int || f.Type == engine.Timestamp) && number:
		// What is left speaks for itself: 1.5.
		v, end := new(scanner).double(raw, 0)
		if _, integral := exactInt(raw); integral || end < 0 || math.Abs(v) >= 1<<63 {
			return ", out of range"
		}
	case f.Type == engine.Timestamp && raw[0] == '"':
		return ", not RFC 3339"
	case f.Type == engine.Bytes && raw[0] == '"':
		return ", not base64"
	}
	return ""
}

// got names a value for people: its JSON type, and its text if it is short.
func got(raw []byte) string {
	if len(raw) == 0 {
		return "nothing"
	}
	kind := ""
	switch c := raw[0]; {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		kind = "string "
	case c == '-' || digit(c):
		kind = "number "
	case c != 't' && c != 'f' && c != 'n':
		return fmt.Sprintf("%q", raw[:min(len(raw), 10)])
	}
	text := strings.ToValidUTF8(string(raw[:min(len(raw), 60)]), "\ufffd")
	if len(raw) > 40 {
		short := strings.ToValidUTF8(string(raw[:40]), "")
		text = short + "…"
	}
	return kind + text
}
