package aggregate

// Scratch is a Heap for accumulators that live for a moment, as when panes are
// merged to emit a window: it reads what the accumulators of Base refer to,
// and writes only into its own memory. So Base is left as it was and nothing
// has to be freed. Between two Resets it holds at most 2 GiB.
//
//	s := aggregate.Scratch{Base: table}
//	for each window { s.Reset(); clear(acc); Merge(acc, pane, &s) …; Append(acc, &s, out, row) }
type Scratch struct {
	Base Heap
	buf  []byte
}

var (
	_ Heap   = (*Scratch)(nil)
	_ Editor = (*Scratch)(nil)
)

// A reference of our own: │ 1 │ start in buf, 31 bits │ length, 32 bits │.
// Base must not give references with the top bit.
const ownRef = 1 << 63

// Reset forgets everything that was Put, and keeps the memory.
func (s *Scratch) Reset() { s.buf = s.buf[:0] }

// Get gives the bytes of a reference, Base's or our own.
func (s *Scratch) Get(ref uint64) []byte {
	if ref&ownRef == 0 {
		return s.Base.Get(ref)
	}
	start, n := ref&^ownRef>>32, ref&(1<<32-1)
	return s.buf[start : start+n : start+n]
}

// Put appends b; the bytes of old stay until Reset.
func (s *Scratch) Put(_ uint64, b []byte) uint64 {
	if b == nil {
		return 0
	}
	start := uint64(len(s.buf))
	s.buf = append(s.buf, b...)
	return ownRef | start<<32 | uint64(len(b))
}

// Edit gives our own bytes as they are, and copies of Base's.
func (s *Scratch) Edit(old uint64, n int) (uint64, []byte) {
	var b []byte
	if old != 0 {
		b = s.Get(old)
	}
	if old&ownRef != 0 && len(b) == n {
		return old, b
	}
	start := len(s.buf)
	s.buf = append(s.buf, b[:min(n, len(b))]...)
	for tail := n - (len(s.buf) - start); tail > 0; tail = n - (len(s.buf) - start) {
		s.buf = append(s.buf, zeros[:min(tail, len(zeros))]...)
	}
	return ownRef | uint64(start)<<32 | uint64(n), s.buf[start : start+n : start+n]
}

var zeros [4096]byte
