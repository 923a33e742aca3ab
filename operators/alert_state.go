package operators

import (
	"encoding/binary"
	"errors"
)

// held is what waits for the end of quiet hours.
type held byte

const (
	nothing      held = iota
	heldFiring        // told with the row that last fired
	heldResolved      // told with a row of its own
)

// firing is what is remembered of a key that fires, or of which something is
// held back.
//
//	[2][flags][level + 1][since][sent][last][length][row]      times are zigzag varints
//	   what is held: [at][since][row]
//	[1][since][sent][last][row]                                before there were quiet hours
type firing struct {
	on                bool
	open              bool // it has been told that it fires, and not that it is over
	through           bool // quiet hours do not hold it
	level             int  // the highest that was told or held, of AlertLevels; -1: none
	since, sent, last int64
	row               []byte // the last firing row

	held              held
	heldAt, heldSince int64 // what it tells of: see AlertAt, AlertSince; of heldFiring: when it was held first
	heldRow           []byte
}

const (
	flagOn byte = 1 << iota
	flagOpen
	flagThrough
	flagHeldFiring
	flagHeldResolved
)

func (f *firing) encode(dst []byte) []byte {
	flags := byte(0)
	for _, is := range []struct {
		so   bool
		flag byte
	}{{f.on, flagOn}, {f.open, flagOpen}, {f.through, flagThrough}, {f.held == heldFiring, flagHeldFiring}, {f.held == heldResolved, flagHeldResolved}} {
		if is.so {
			flags |= is.flag
		}
	}
	dst = append(dst, 2, flags, byte(f.level+1))
	for _, t := range []int64{f.since, f.sent, f.last, int64(len(f.row))} {
		dst = binary.AppendVarint(dst, t)
	}
	dst = append(dst, f.row...)
	if f.held != nothing {
		dst = binary.AppendVarint(binary.AppendVarint(dst, f.heldAt), f.heldSince)
		dst = append(dst, f.heldRow...)
	}
	return dst
}

var errAlert = errors.New("the state of an alert does not decode")

// decodeFiring reads what encode wrote; rows are views of b.
func decodeFiring(b []byte) (firing, error) {
	f := firing{on: true, open: true, level: normalLevel}
	if len(b) < 4 || b[0] != 1 && b[0] != 2 {
		return f, errAlert
	}
	old := b[0] == 1
	var flags byte
	if b = b[1:]; !old {
		flags, f.level, b = b[0], int(b[1])-1, b[2:]
		f.on, f.open, f.through = flags&flagOn != 0, flags&flagOpen != 0, flags&flagThrough != 0
	}
	ok := true
	number := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			ok = false
			return 0
		}
		b = b[n:]
		return v
	}
	f.since, f.sent, f.last, f.row = number(), number(), number(), b
	if old {
		f.row = b
		return f, decodes(ok)
	}
	size := number()
	if !ok || size < 0 || size > int64(len(b)) || f.level >= len(AlertLevels) {
		return f, errAlert
	}
	f.row, b = b[:size:size], b[size:]
	switch {
	case flags&flagHeldFiring != 0:
		f.held = heldFiring
	case flags&flagHeldResolved != 0:
		f.held = heldResolved
	default:
		return f, nil
	}
	f.heldAt, f.heldSince = number(), number()
	f.heldRow = b
	return f, decodes(ok)
}

func decodes(ok bool) error {
	if !ok {
		return errAlert
	}
	return nil
}
