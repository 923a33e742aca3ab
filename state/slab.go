package state

// slab hands out blocks of words of one size. Block 0 is never handed out.
type slab struct {
	chunks [][]uint64
	stride int    // words of a block
	shift  uint32 // blocks of a chunk = 1 << shift
	free   []uint32
	next   uint32
	inUse  int
}

// slabChunk is about how many words a chunk has: large enough that the
// collector has little to look at, small enough that 64 idle tasks cost 2 MiB.
const slabChunk = 4 << 10

func newSlab(stride int) slab {
	s := slab{stride: stride, next: 1}
	for stride<<(s.shift+1) <= slabChunk {
		s.shift++
	}
	return s
}

func (s *slab) alloc() uint32 {
	s.inUse++
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b
	}
	b := s.next
	s.next++
	if int(b>>s.shift) >= len(s.chunks) {
		s.chunks = append(s.chunks, make([]uint64, s.stride<<s.shift))
	}
	return b
}

func (s *slab) release(b uint32) {
	s.inUse--
	s.free = append(s.free, b)
}

func (s *slab) block(b uint32) []uint64 {
	off := int(b&(1<<s.shift-1)) * s.stride
	return s.chunks[b>>s.shift][off : off+s.stride]
}
