package state

import (
	"encoding/binary"
	"fmt"
)

// Keys in Pebble. Names are length-prefixed, so that no name, whatever its
// bytes, reaches into another's range.
//
//	t ┆ len task                                     lease number, meta
//	s ┆ len task ┆ len store                         fingerprint, shape, position, counts
//	d ┆ len task ┆ len store ┆ family ┆ end ┆ key    accumulator
//	                           1 byte   8 bytes, big endian, sign bit flipped: in order of time
//
// len is one byte. The end comes before the key so that what expires together
// lies together: one DeleteRange.
const (
	kindTask  = 't'
	kindStore = 's'
	kindData  = 'd'
	maxName   = 255
)

func checkName(what, name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%s name %q: must have 1 to %d bytes", what, name, maxName)
	}
	return nil
}

func taskKey(kind byte, task string) []byte {
	k := make([]byte, 0, 64)
	k = append(k, kind, byte(len(task)))
	return append(k, task...)
}

func storeKey(kind byte, task, store string) []byte {
	k := append(taskKey(kind, task), byte(len(store)))
	return append(k, store...)
}

// appendPane appends what follows the store in a data key, up to the key.
func appendPane(dst []byte, f Family, end int64) []byte {
	dst = append(dst, byte(f))
	return binary.BigEndian.AppendUint64(dst, uint64(end)^1<<63)
}

// afterPrefix is the first key behind all that begin with prefix.
func afterPrefix(prefix []byte) []byte {
	k := append([]byte(nil), prefix...)
	for i := len(k) - 1; i >= 0; i-- {
		if k[i]++; k[i] != 0 {
			return k[:i+1]
		}
	}
	return nil
}

// splitName takes a length-prefixed name off k.
func splitName(k []byte) (name string, rest []byte, ok bool) {
	if len(k) == 0 || k[0] == 0 || len(k) < 1+int(k[0]) {
		return "", nil, false
	}
	n := 1 + int(k[0])
	return string(k[1:n]), k[n:], true
}

// splitPane takes family and end off what follows the store in a data key.
func splitPane(k []byte) (f Family, end int64, key []byte, ok bool) {
	if len(k) < 9 || k[0] > 1 {
		return 0, 0, nil, false
	}
	return Family(k[0]), int64(binary.BigEndian.Uint64(k[1:]) ^ 1<<63), k[9:], true
}
