package codec

import (
	"math"
	"strconv"
)

// Powers of ten that are exact doubles.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
	1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// double reads a number as a double; -1 where there is none, or one that is
// out of a double's range.
//
// Up to 19 digits without exponent whose digits are below 2^53 and whose
// decimals are at most 22 are one division of two exact doubles, which rounds
// correctly. All others are strconv's.
func (s *scanner) double(buf []byte, p int) (float64, int) {
	start := p
	neg := false
	if p < len(buf) && buf[p] == '-' {
		neg = true
		p++
	}
	first := p
	var m uint64
	for p < len(buf) && digit(buf[p]) {
		m = m*10 + uint64(buf[p]-'0')
		p++
	}
	n := p - first
	if n == 0 || n > 1 && buf[first] == '0' {
		return 0, s.number(buf, start) // none, or one that ends behind its first 0
	}
	decimals := 0
	if p < len(buf) && buf[p] == '.' {
		p++
		point := p
		for p < len(buf) && digit(buf[p]) {
			m = m*10 + uint64(buf[p]-'0')
			p++
		}
		decimals = p - point
		if decimals == 0 {
			return 0, s.number(buf, start) // none, or one that ends behind its first 0
		}
	}
	if n+decimals > 19 || m >= 1<<53 || p < len(buf) && buf[p]|0x20 == 'e' {
		end := s.number(buf, start)
		if end < 0 {
			return 0, -1
		}
		v, err := strconv.ParseFloat(view(buf[start:end]), 64)
		if err != nil {
			return 0, s.stop(start, whyValue)
		}
		return v, end
	}
	v := float64(m)
	if decimals > 0 {
		v /= pow10[decimals]
	}
	if neg {
		v = -v
	}
	return v, p
}

// integer reads a number as an int; -1 where there is none, or one that is not
// an int: with decimals that are not zero, or out of an int64's range.
func (s *scanner) integer(buf []byte, p int) (int64, int) {
	start := p
	neg := false
	if p < len(buf) && buf[p] == '-' {
		neg = true
		p++
	}
	first := p
	var m uint64
	for p < len(buf) && digit(buf[p]) {
		m = m*10 + uint64(buf[p]-'0')
		p++
	}
	n := p - first
	if n == 0 || n > 1 && buf[first] == '0' {
		return 0, s.number(buf, start) // none, or one that ends behind its first 0
	}
	if n > 18 || p < len(buf) && (buf[p] == '.' || buf[p]|0x20 == 'e') {
		end := s.number(buf, start)
		if end < 0 {
			return 0, -1
		}
		v, ok := exactInt(buf[start:end])
		if !ok {
			return 0, s.stop(start, whyValue)
		}
		return v, end
	}
	if neg {
		return -int64(m), p
	}
	return int64(m), p
}

// exactInt is the value of a valid JSON number, which may have decimals and an
// exponent as long as it is integral: 1e3, 1.0 and 12.5e1 are ints.
func exactInt(num []byte) (v int64, ok bool) {
	neg := num[0] == '-'
	if neg {
		num = num[1:]
	}
	// The number is digits × 10^exp, digits without zeros at either end.
	exp := 0
	var ds [20]byte // one more than any int64 has: enough to see that it is too many
	n, zeros, point := 0, 0, false
	for k, c := range num {
		if c == '.' {
			point = true
			continue
		}
		if c|0x20 == 'e' {
			e, err := strconv.Atoi(string(num[k+1:]))
			if err != nil || e > math.MaxInt32 || e < math.MinInt32 {
				// Beyond any digits a record can have, unless they are all zeros.
				e = math.MaxInt32
				if num[k+1] == '-' {
					e = math.MinInt32
				}
			}
			exp += e
			break
		}
		if point {
			exp--
		}
		switch {
		case c == '0' && n == 0: // leading
		case c == '0':
			zeros++
		default:
			for ; zeros > 0 && n < len(ds); zeros-- {
				ds[n] = '0'
				n++
			}
			if n == len(ds) {
				return 0, false
			}
			ds[n] = c
			n++
		}
	}
	if n == 0 {
		return 0, true
	}
	exp += zeros
	if exp < 0 || n+exp > 19 {
		return 0, false
	}
	var m uint64
	for _, c := range ds[:n] {
		m = m*10 + uint64(c-'0')
	}
	for range exp {
		m *= 10
	}
	switch {
	case neg && m <= 1<<63:
		return -int64(m), true
	case !neg && m < 1<<63:
		return int64(m), true
	}
	return 0, false
}
