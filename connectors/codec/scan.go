package codec

// maxDepth is how many objects and arrays may be open at once in a record. It
// bounds the stack; encoding/json's own limit is 10000.
const maxDepth = 512

// Why a scan stopped. The record's end is told apart by where, not by these.
const (
	whyValue   = "want a value"
	whyDigit   = "want a digit"
	whyKey     = "want a key in quotes"
	whyColon   = "want ':' behind the key"
	whyComma   = "want ',' or '}' behind a value"
	whyElement = "want ',' or ']' behind an element"
	whyEscape  = "not an escape that JSON has"
	whyControl = "control characters in strings must be escaped"
	whyDepth   = "nested deeper than 512 levels"
	whyTail    = "want nothing behind the object"
)

// scanner walks over JSON text. Its verbs return the position behind what they
// read, or -1 after noting where and why they stopped.
type scanner struct {
	at  int
	why string
}

//go:noinline
func (s *scanner) stop(at int, why string) int {
	s.at, s.why = at, why
	return -1
}

// plain finds the first byte from p on that a string cannot hold as it is (a
// quote, a backslash, a control character) or the end of buf. wide is set where
// some byte on the way, or in the word behind, is not ASCII.
func plain(buf []byte, p int) (end int, wide bool) {
	var all uint64
	for p < len(buf) {
		x := load(buf, p)
		all |= x
		if hits := special(x); hits != 0 {
			return min(p+count(hits), len(buf)), all&tops != 0
		}
		p += 8
	}
	return len(buf), all&tops != 0
}

// str reads the rest of a string whose opening quote is behind.
func (s *scanner) str(buf []byte, p int) int {
	for {
		p, _ = plain(buf, p)
		if p >= len(buf) {
			return s.stop(p, whyValue)
		}
		switch c := buf[p]; {
		case c == '"':
			return p + 1
		case c < 0x20:
			return s.stop(p, whyControl)
		}
		n := escapeLen(buf[p:])
		if n <= 0 {
			return s.stop(p-n, whyEscape)
		}
		p += n
	}
}

// escapeLen is the length of the escape that b begins with, or minus the
// position where it goes wrong.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return -1
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		for k := 2; k < 6; k++ {
			if k >= len(b) || hexValue(b[k]) < 0 {
				return -k
			}
		}
		return 6
	}
	return -1
}

// number reads a number without its value.
func (s *scanner) number(buf []byte, p int) int {
	if p < len(buf) && buf[p] == '-' {
		p++
	}
	switch {
	case p < len(buf) && buf[p] == '0':
		p++
	case p < len(buf) && digit(buf[p]):
		p = digits(buf, p)
	default:
		return s.stop(p, whyDigit)
	}
	if p < len(buf) && buf[p] == '.' {
		n := digits(buf, p+1)
		if n == p+1 {
			return s.stop(n, whyDigit)
		}
		p = n
	}
	if p < len(buf) && buf[p]|0x20 == 'e' {
		p++
		if p < len(buf) && (buf[p] == '+' || buf[p] == '-') {
			p++
		}
		n := digits(buf, p)
		if n == p {
			return s.stop(n, whyDigit)
		}
		p = n
	}
	return p
}

func digit(c byte) bool { return c-'0' <= 9 }

func digits(buf []byte, p int) int {
	for p < len(buf) && digit(buf[p]) {
		p++
	}
	return p
}

// word reads true, false or null.
func (s *scanner) word(buf []byte, p int, w string) int {
	for k := range len(w) {
		if p+k >= len(buf) || buf[p+k] != w[k] {
			return s.stop(p+k, whyValue)
		}
	}
	return p + len(w)
}

// skip reads any value at p, where depth objects are open around it.
func (s *scanner) skip(buf []byte, p, depth int) int {
	if p >= len(buf) {
		return s.stop(p, whyValue)
	}
	switch c := buf[p]; c {
	case '"':
		return s.str(buf, p+1)
	case '{', '[':
		if depth >= maxDepth {
			return s.stop(p, whyDepth)
		}
		if c == '[' {
			return s.array(buf, p+1, depth+1)
		}
		return s.object(buf, p+1, depth+1)
	case 't':
		return s.word(buf, p, "true")
	case 'f':
		return s.word(buf, p, "false")
	case 'n':
		return s.word(buf, p, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number(buf, p)
	}
	return s.stop(p, whyValue)
}

func (s *scanner) object(buf []byte, p, depth int) int {
	p = space(buf, p)
	if p < len(buf) && buf[p] == '}' {
		return p + 1
	}
	for {
		if _, p = s.key(buf, p); p < 0 {
			return -1
		}
		if p = s.skip(buf, p, depth); p < 0 {
			return -1
		}
		p = space(buf, p)
		if p < len(buf) && buf[p] == '}' {
			return p + 1
		}
		if p >= len(buf) || buf[p] != ',' {
			return s.stop(p, whyComma)
		}
		p = space(buf, p+1)
	}
}

func (s *scanner) array(buf []byte, p, depth int) int {
	p = space(buf, p)
	if p < len(buf) && buf[p] == ']' {
		return p + 1
	}
	for {
		if p = s.skip(buf, p, depth); p < 0 {
			return -1
		}
		p = space(buf, p)
		if p < len(buf) && buf[p] == ']' {
			return p + 1
		}
		if p >= len(buf) || buf[p] != ',' {
			return s.stop(p, whyElement)
		}
		p = space(buf, p+1)
	}
}

// key reads a key, the colon and the space behind it; raw is the key between
// its quotes, escapes and all.
func (s *scanner) key(buf []byte, p int) (raw []byte, end int) {
	if p >= len(buf) || buf[p] != '"' {
		return nil, s.stop(p, whyKey)
	}
	end = s.str(buf, p+1)
	if end < 0 {
		return nil, -1
	}
	raw = buf[p+1 : end-1]
	end = space(buf, end)
	if end >= len(buf) || buf[end] != ':' {
		return nil, s.stop(end, whyColon)
	}
	return raw, space(buf, end+1)
}

// space goes past white space.
func space(buf []byte, p int) int {
	for p < len(buf) && (buf[p] == ' ' || buf[p] == '\n' || buf[p] == '\r' || buf[p] == '\t') {
		p++
	}
	return p
}
