package operators

// earlier is what a minHeap orders by.
type earlier[T any] interface{ before(T) bool }

var (
	_ earlier[timer]   = timer{}
	_ earlier[dueSlot] = dueSlot{}
	_ earlier[place]   = place{}
)

// minHeap is a binary heap with the least element first: of timers, of keys
// that may be due, of rows that wait for the watermark.
type minHeap[T earlier[T]] []T

// push adds an element.
func (h *minHeap[T]) push(x T) {
	s := append(*h, x)
	*h = s
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s[i].before(s[up]) {
			return
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

// pop takes the least element; there must be one.
func (h *minHeap[T]) pop() T {
	s := *h
	var none T
	top, last := s[0], len(s)-1
	s[0], s[last] = s[last], none // and lets go of what it refers to
	s = s[:last]
	*h = s
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if s[c].before(s[least]) {
				least = c
			}
		}
		if least == i {
			return top
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}
