package engine

// arena hands out bytes that live until the transaction has ended. Chunks are
// used again after a commit; after an abort they are left to the garbage
// collector, because the client may still hold a record that failed.
type arena struct {
	chunk []byte   // the rest of the chunk in use
	used  [][]byte // chunks in use, whole
	free  [][]byte // chunks to use again
}

// arenaChunk is 256 KiB: some 1,500 result records.
const arenaChunk = 256 << 10

// take gives n bytes: never nil, as a nil key is a null key.
func (a *arena) take(n int) []byte {
	if a.chunk == nil || n > len(a.chunk) {
		if n > arenaChunk/4 {
			return make([]byte, n)
		}
		if k := len(a.free); k > 0 {
			a.chunk, a.free = a.free[k-1], a.free[:k-1]
		} else {
			a.chunk = make([]byte, arenaChunk)
		}
		a.used = append(a.used, a.chunk)
	}
	b := a.chunk[:n:n]
	a.chunk = a.chunk[n:]
	return b
}

func (a *arena) committed() {
	a.free = append(a.free, a.used...)
	if len(a.free) > 256 { // 64 MiB kept is plenty
		a.free = a.free[:256]
	}
	a.used, a.chunk = a.used[:0], nil
}

func (a *arena) aborted() { a.used, a.chunk = nil, nil }
