package codec

import (
	"encoding/binary"
	"math/bits"
)

// A word is eight bytes of a record, the first in the lowest byte. The fast
// path decides on words, without a branch per byte: lengths vary from record to
// record, and a mispredicted branch costs more than a word does.

// Every byte 1, every byte's top bit.
const (
	ones uint64 = 0x0101010101010101
	tops uint64 = 0x8080808080808080
)

// load is the word at p; zeros stand for what is behind the end of buf.
func load(buf []byte, p int) uint64 {
	if p+8 <= len(buf) {
		return binary.LittleEndian.Uint64(buf[p:])
	}
	return loadEnd(buf, p)
}

//go:noinline
func loadEnd(buf []byte, p int) uint64 {
	if n := len(buf); n >= 8 && p < n {
		return binary.LittleEndian.Uint64(buf[n-8:]) >> (8 * (p + 8 - n))
	}
	if p >= len(buf) {
		return 0
	}
	if buf = buf[p:]; len(buf) >= 4 { // two halves that overlap
		return uint64(binary.LittleEndian.Uint32(buf)) | uint64(binary.LittleEndian.Uint32(buf[len(buf)-4:]))<<(8*(len(buf)-4))
	}
	var x uint64
	for k, c := range buf {
		x |= uint64(c) << (8 * k)
	}
	return x
}

// special has the top bit of the bytes that a string cannot hold as they are:
// quote, backslash, control characters. Only the lowest is exact, as the
// subtractions borrow from bytes that are hits themselves.
func special(x uint64) uint64 {
	return ((x ^ ones*'"') - ones | ((x ^ ones*'\\') - ones) | (x - ones*0x20)) &^ x & tops
}

// nonDigit has the top bit of all bytes that are not digits; all are exact.
func nonDigit(x uint64) uint64 {
	x ^= ones * '0'
	return (x&^tops + ones*(0x7f-9) | x) & tops
}

// count is how many bytes come before the lowest top bit, 8 if there is none.
func count(hits uint64) int { return bits.TrailingZeros64(hits) >> 3 }

func byteAt(x uint64, k int) byte { return byte(x >> (8 * k)) }

// shortNumber is the length of the number that x begins with, of which whole
// and point are the digits before the point and the point: D+ or D+.D+, at most
// seven bytes. 0: it is another, or none.
func shortNumber(x uint64) (n, whole int) {
	hits := nonDigit(x)
	whole = count(hits)
	n = whole
	if byteAt(x, whole) == '.' {
		n = count(hits & (hits - 1))
		if n == whole+1 {
			return 0, 0
		}
	}
	if n > 7 || whole == 0 || whole > 1 && byte(x) == '0' || byteAt(x, n)|0x20 == 'e' {
		return 0, 0
	}
	return n, whole
}

// eight is the value of eight bytes 0 to 9, the most significant lowest.
func eight(x uint64) uint64 {
	x = x*10 + x>>8 // pairs in every other byte
	const mask = 0x000000ff000000ff
	const mul1 = 0x000f424000000064 // 100 + 1000000<<32
	const mul2 = 0x0000271000000001 // 1 + 10000<<32
	return ((x&mask)*mul1 + (x>>16&mask)*mul2) >> 32
}

// few is the value of the first n digits of x, n from 1 to 8.
func few(x uint64, n int) uint64 {
	return eight((x ^ ones*'0') << (64 - 8*n))
}

// shortDouble is the value of the n bytes of a shortNumber.
func shortDouble(x uint64, n, whole int) float64 {
	if n == whole {
		return float64(few(x, n))
	}
	before := uint64(1)<<(8*whole) - 1 // the point is taken out
	return float64(few(x&before|x>>8&^before, n-1)) / pow10[n-1-whole]
}

// shortInt reads an int of up to 15 digits without sign; n is its length, 0 if it is another, or none.
func shortInt(buf []byte, p int) (v int64, n int) {
	x := load(buf, p)
	n = count(nonDigit(x))
	if n == 0 || n > 1 && byte(x) == '0' {
		return 0, 0
	}
	v = int64(few(x, n))
	behind := byteAt(x, n)
	if n == 8 {
		x = load(buf, p+8)
		more := count(nonDigit(x))
		if more == 8 {
			return 0, 0
		}
		v = v*int64(intPow10[more]) + int64(few(x, more))
		n += more
		behind = byteAt(x, more)
	}
	if behind == '.' || behind|0x20 == 'e' {
		return 0, 0
	}
	return v, n
}

var intPow10 = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}
