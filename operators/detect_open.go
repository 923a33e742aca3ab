package operators

import (
	"encoding/binary"
	"errors"
	"strings"
)

// The open matches of a key in the store:
//
//	[1][uvarint number] and per match [uvarint step, count] [varint time, uvarint
//	number] of the first row and of the last [uvarint steps kept] and per step
//	[uvarint length][cells]

var errOpen = errors.New("the open matches of a detect do not decode")

// get gives the open matches of a key.
func (d *detector) get(key string) (*detectKey, error) {
	if k := d.keys[key]; k != nil {
		return k, nil
	}
	value, err := d.store.get(key)
	if err != nil {
		return nil, err
	}
	k := &detectKey{key: strings.Clone(key)}
	if value != nil {
		var ok bool
		if k.open, ok = d.readOpen(view(value)); !ok {
			return nil, errOpen
		}
	}
	d.keys[k.key] = k
	d.touched = append(d.touched, k)
	return k, nil
}

// save stores the keys that were touched.
func (d *detector) save() error {
	for _, k := range d.touched {
		var err error
		if len(k.open) == 0 {
			err = d.store.remove(k.key)
		} else {
			d.buf = appendOpen(d.buf[:0], k.open)
			err = d.store.put(k.key, d.buf)
		}
		if err != nil {
			return err
		}
	}
	clear(d.keys)
	clear(d.touched)
	d.touched = d.touched[:0]
	return nil
}

func appendOpen(b []byte, all []open) []byte {
	b = binary.AppendUvarint(append(b, 1), uint64(len(all)))
	for _, o := range all {
		b = binary.AppendUvarint(b, uint64(o.step))
		b = binary.AppendUvarint(b, uint64(o.count))
		for _, p := range [2]place{o.start, o.last} {
			b = binary.AppendVarint(b, p.time)
			b = binary.AppendUvarint(b, p.number)
		}
		b = binary.AppendUvarint(b, uint64(len(o.kept)))
		for _, cells := range o.kept {
			b = append(binary.AppendUvarint(b, uint64(len(cells))), cells...)
		}
	}
	return b
}

// readOpen reads open matches; their cells are views of s.
func (d *detector) readOpen(s string) (all []open, ok bool) {
	if len(s) == 0 || s[0] != 1 {
		return nil, false
	}
	s = s[1:]
	ok = true
	number := func() uint64 {
		v, n := binary.Uvarint(head(s))
		if n <= 0 {
			ok = false
			return 0
		}
		s = s[n:]
		return v
	}
	time := func() int64 {
		v, n := binary.Varint(head(s))
		if n <= 0 {
			ok = false
			return 0
		}
		s = s[n:]
		return v
	}
	for range number() {
		o := open{step: int(number()), count: int(number())}
		o.start = place{time(), number()}
		o.last = place{time(), number()}
		for range number() {
			n := number()
			if !ok || n > uint64(len(s)) {
				return nil, false
			}
			o.kept = append(o.kept, s[:n])
			s = s[n:]
		}
		if !ok || o.step > len(d.steps) || o.step < 0 || len(o.kept) != d.keeps(&o) {
			return nil, false
		}
		all = append(all, o)
	}
	return all, ok && s == ""
}

// keeps is how many steps an open match has kept something of.
func (d *detector) keeps(o *open) int {
	if o.step == len(d.steps) {
		return len(d.kept)
	}
	if o.count > 0 {
		return d.steps[o.step].place + 1
	}
	return d.steps[o.step].place
}
