package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// storeRecord is what Pebble has of a store beside its data. It is written in
// the batch of every Apply, so it tells what exactly the data is: the checker
// holds the one against the other, without knowing the pipeline.
type storeRecord struct {
	fingerprint string
	families    [2]FamilySpec
	keys        uint64    // with a pane
	entries     [2]uint64 // data keys per family
	pos         Position
	hasPos      bool
}

// taskRecord is what Pebble has of a task.
type taskRecord struct {
	number uint64 // of the lease that wrote last
	meta   []byte
}

// Both records: version u8, fields as uvarints (signed ones zigzag) and
// length-prefixed strings, then 4 bytes of checksum over all of it.
const recordVersion = 1

var errChecksum = errors.New("wrong checksum")

func (r *storeRecord) encode() []byte {
	b := []byte{recordVersion}
	b = appendString(b, r.fingerprint)
	for _, f := range r.families {
		b = binary.AppendUvarint(b, uint64(f.Words))
		b = binary.AppendUvarint(b, uint64(len(f.Blobs)))
		for _, w := range f.Blobs {
			b = binary.AppendUvarint(b, uint64(w))
		}
	}
	b = binary.AppendUvarint(b, r.keys)
	b = binary.AppendUvarint(b, r.entries[0])
	b = binary.AppendUvarint(b, r.entries[1])
	if !r.hasPos {
		return seal(append(b, 0))
	}
	b = append(b, 1)
	b = appendString(b, r.pos.TopicID)
	b = binary.AppendUvarint(b, zigzag(r.pos.Offset))
	b = binary.AppendUvarint(b, zigzag(int64(r.pos.Epoch)))
	return seal(b)
}

func decodeStoreRecord(b []byte) (r storeRecord, err error) {
	d, err := unseal(b)
	if err != nil {
		return r, err
	}
	r.fingerprint = string(d.bytes())
	for f := range r.families {
		fs := &r.families[f]
		fs.Words = d.count(maxWords)
		for range d.count(maxWords) {
			fs.Blobs = append(fs.Blobs, d.count(maxWords))
		}
		if err := checkShape(*fs); err != nil {
			d.fail(err)
		}
	}
	r.keys, r.entries[0], r.entries[1] = d.uvarint(), d.uvarint(), d.uvarint()
	switch d.uvarint() {
	case 0:
	case 1:
		r.hasPos = true
		r.pos.TopicID = string(d.bytes())
		r.pos.Offset = unzigzag(d.uvarint())
		r.pos.Epoch = int32(unzigzag(d.uvarint()))
	default:
		d.fail(errors.New("bad position"))
	}
	return r, d.end()
}

func (r *taskRecord) encode() []byte {
	b := binary.AppendUvarint([]byte{recordVersion}, r.number)
	return seal(appendString(b, string(r.meta)))
}

func decodeTaskRecord(b []byte) (r taskRecord, err error) {
	d, err := unseal(b)
	if err != nil {
		return r, err
	}
	r.number = d.uvarint()
	r.meta = slices.Clone(d.bytes())
	return r, d.end()
}

// maxWords bounds an accumulator; far above what aggregates use.
const maxWords = 1 << 16

func checkShape(f FamilySpec) error {
	if f.Words < 0 || f.Words > maxWords {
		return fmt.Errorf("accumulator of %d words", f.Words)
	}
	for i, w := range f.Blobs {
		if w < 0 || w >= f.Words || slices.Contains(f.Blobs[:i], w) {
			return fmt.Errorf("blob in word %d of %d", w, f.Words)
		}
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func seal(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, uint32(xxhash.Sum64(b)))
}

func unseal(b []byte) (*decoder, error) {
	n := len(b) - 4
	if n < 1 {
		return nil, errShort
	}
	if binary.LittleEndian.Uint32(b[n:]) != uint32(xxhash.Sum64(b[:n])) {
		return nil, errChecksum
	}
	if b[0] != recordVersion {
		return nil, fmt.Errorf("%w %d", errVersion, b[0])
	}
	return &decoder{src: b[1:n]}, nil
}

// decoder reads fields until the first that fails, and remembers that.
type decoder struct {
	src []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.src)
	if n <= 0 {
		d.fail(errShort)
		d.src = nil
		return 0
	}
	d.src = d.src[n:]
	return v
}

func (d *decoder) count(limit uint64) int {
	v := d.uvarint()
	if v > limit {
		d.fail(fmt.Errorf("count %d is above %d", v, limit))
		return 0
	}
	return int(v)
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.src)) {
		d.fail(errShort)
		return nil
	}
	b := d.src[:n]
	d.src = d.src[n:]
	return b
}

func (d *decoder) end() error {
	if d.err == nil && len(d.src) > 0 {
		return errTrail
	}
	return d.err
}
