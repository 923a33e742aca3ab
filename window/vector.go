package window

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Vector is the watermark of an input behind a repartition topic: one entry
// per upstream task, moved by the stamps that each of them writes into every
// partition, after the rows that the stamp covers.
//
//		stamp {task 0 of 3, 12:00:05}        ┌ 0  12:00:05
//		stamp {task 2 of 3, 12:00:09, idle} ─┤ 1  never heard        ──▶ minimum
//		                                     └ 2  12:00:09  idle
//
//	  - Entries never go back, and neither does the minimum.
//	  - An entry never heard holds the minimum back.
//	  - Idleness comes from the stamp alone, never from silence.
//	  - When the upstream grows, new entries start at the present minimum: time
//	    stands until they are heard, but does not fall back to none.
//	  - When all entries are idle, the minimum keeps its last value.
//	  - An idle task may hold rows until its time has come. Where all are idle, or
//	    the others have ended, such a one is waited for; where the clock will move
//	    its time (close_after_idle) it counts as if it were not idle until then.
//
// It is part of the task's state: Append and DecodeVector.
type Vector struct {
	entries []input
	last    int64
}

// NewVector makes the vector of n upstream tasks, none of them heard.
func NewVector(n int) *Vector {
	v := &Vector{last: MinTime}
	v.extend(n)
	return v
}

// maxUpstream bounds N, so that a broken stamp cannot take all memory.
const maxUpstream = 1 << 20

// Holding says whether an idle task holds rows that wait for its time.
type Holding byte

// None are held; Held wait for other rows; Draining are let go by the clock.
const (
	None Holding = iota
	Held
	Draining
)

// Stamp takes the stamp of upstream task number task of n. The caller has
// left out stamps of older pipeline generations. An n smaller than one seen
// before does not shrink the vector.
func (v *Vector) Stamp(task, n int, watermark int64, idle bool, holds Holding) error {
	if n < 1 || n > maxUpstream || task < 0 || task >= n {
		return fmt.Errorf("read stamp: task %d of %d is out of range", task, n)
	}
	v.extend(n)
	e := &v.entries[task]
	e.watermark = max(e.watermark, watermark)
	e.heard, e.idle, e.holds = true, idle, None
	if idle {
		e.holds = holds
	}
	return nil
}

func (v *Vector) extend(n int) {
	if n <= len(v.entries) {
		return
	}
	v.Value() // what the old entries said remains the least
	for len(v.entries) < n {
		v.entries = append(v.entries, input{watermark: MinTime})
	}
}

// Len is the number of upstream tasks.
func (v *Vector) Len() int { return len(v.entries) }

// Value is the minimum over the entries that are not idle, in O(N).
func (v *Vector) Value() int64 {
	v.last = max(v.last, minimum(v.entries))
	return v.last
}

// Idle tells whether every upstream task has said that it is idle.
func (v *Vector) Idle() bool {
	for i := range v.entries {
		if !v.entries[i].idle {
			return false
		}
	}
	return len(v.entries) > 0
}

// Holds tells whether an idle upstream task may still send what it holds.
func (v *Vector) Holds() bool {
	for i := range v.entries {
		if v.entries[i].holds != None {
			return true
		}
	}
	return false
}

// Drains tells whether the clock lets an idle upstream task send what it holds.
func (v *Vector) Drains() bool {
	for i := range v.entries {
		if v.entries[i].holds == Draining {
			return true
		}
	}
	return false
}

// Heard tells whether every upstream task has been heard.
func (v *Vector) Heard() bool {
	for i := range v.entries {
		if !v.entries[i].heard {
			return false
		}
	}
	return len(v.entries) > 0
}

// Encoding: version 1 · varint minimum · uvarint N · N × (flags · varint
// watermark), where flags is 1 for heard plus 2 for idle plus 4 times
// the Holding.
const (
	vectorVersion = 1
	flagHeard     = 1
	flagIdle      = 2
	holdsShift    = 2
)

// Append appends the encoded vector to b.
func (v *Vector) Append(b []byte) []byte {
	b = append(b, vectorVersion)
	b = binary.AppendVarint(b, v.Value())
	b = binary.AppendUvarint(b, uint64(len(v.entries)))
	for _, e := range v.entries {
		var flags byte
		if e.heard {
			flags |= flagHeard
		}
		if e.idle {
			flags |= flagIdle
		}
		flags |= byte(e.holds) << holdsShift
		b = append(b, flags)
		b = binary.AppendVarint(b, e.watermark)
	}
	return b
}

// DecodeVector reads what Append wrote and gives the bytes after it.
func DecodeVector(b []byte) (v *Vector, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errVector
	}
	if b[0] != vectorVersion {
		return nil, nil, fmt.Errorf("decode watermark vector: version %d is not known", b[0])
	}
	v = new(Vector)
	b = b[1:]
	var n uint64
	var k int
	if v.last, k = binary.Varint(b); k <= 0 {
		return nil, nil, errVector
	}
	b = b[k:]
	// An entry has at least two bytes: a broken count is found before memory
	// is taken for it.
	if n, k = binary.Uvarint(b); k <= 0 || n > uint64(len(b)-k)/2 {
		return nil, nil, errVector
	}
	b = b[k:]
	v.entries = make([]input, n)
	for i := range v.entries {
		if len(b) == 0 || b[0]>>holdsShift > byte(Draining) {
			return nil, nil, errVector
		}
		w, k := binary.Varint(b[1:])
		if k <= 0 {
			return nil, nil, errVector
		}
		v.entries[i] = input{watermark: w, heard: b[0]&flagHeard != 0, idle: b[0]&flagIdle != 0, holds: Holding(b[0] >> holdsShift)}
		b = b[1+k:]
	}
	return v, b, nil
}

var errVector = errors.New("decode watermark vector: the bytes are broken")

// input is what one upstream task has said last.
type input struct {
	watermark   int64
	heard, idle bool
	holds       Holding
}

// minimum is the least watermark of the inputs that are not idle, or only until
// the clock has let go what they hold. Where all
// are idle it is the least of those that ever had a row: it is no more than
// what counted before they fell idle, so time stands still, until what is
// behind the inputs moves them all (close_after_idle upstream). A partition
// that is empty for ever must not hold that up; one that holds rows does.
//
// An input that has ended (MaxTime) says nothing of the others. Those that are
// idle have yet to end, and what they held until then comes before they do: they
// are waited for.
func minimum(inputs []input) int64 {
	active, known := MaxTime, MaxTime
	none := true
	for i := range inputs {
		in := &inputs[i]
		if !in.idle || in.holds == Draining {
			active = min(active, in.watermark)
		}
		if in.watermark != MinTime || in.holds != None {
			known, none = min(known, in.watermark), false
		}
	}
	switch {
	case active != MaxTime:
		return active
	case none:
		return MinTime
	}
	return known
}
