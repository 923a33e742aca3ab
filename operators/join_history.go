package operators

import (
	"encoding/binary"
)

// A history is the versions of one key, the newest first:
//
//	[1] then per version: [time zigzag][0 deleted | 1 row][length][row]
//
// Versions are by event time; of two with one time the later arrival stays.

const historyVersion = 1

// versionAt gives the row as of time t; ok is false where there was none, known
// where a version tells: without one it may have been forgotten.
func versionAt(history []byte, t int64) (row []byte, ok, known bool, err error) {
	for rest := history[1:]; len(rest) > 0; {
		at, is, r, more, err := nextVersion(rest)
		if err != nil {
			return nil, false, false, err
		}
		if at <= t {
			return r, is, true, nil
		}
		rest = more
	}
	return nil, false, false, nil
}

// horizon tells what of a history may be forgotten.
type horizon struct {
	asked   int64 // no lookup is for an earlier time: of what is not later one version is enough
	deleted int64 // nothing that is older than a deletion until then comes any more
}

// addVersion appends to dst what history becomes with a version more and
// without those that no lookup can need; nothing is left of a key that has
// been deleted long enough.
func addVersion(dst, history []byte, at int64, is bool, row []byte, b horizon) (out []byte, err error) {
	out = append(dst, historyVersion)
	begin := len(out)
	done := false // a version that is not later than b.asked is there: all others are too old
	add := func(at int64, is bool, row []byte) {
		if done {
			return
		}
		done = at <= b.asked
		// With newer versions before it a deletion stays: an older one may come late.
		if done && !is && len(out) == begin && at <= b.deleted {
			return
		}
		out = appendVersion(out, at, is, row)
	}
	placed := false
	var rest []byte
	if len(history) > 0 {
		rest = history[1:]
	}
	for len(rest) > 0 {
		oldAt, oldIs, oldRow, more, err := nextVersion(rest)
		if err != nil {
			return nil, err
		}
		rest = more
		if !placed && at >= oldAt {
			placed = true
			add(at, is, row)
			if at == oldAt {
				continue
			}
		}
		add(oldAt, oldIs, oldRow)
	}
	if !placed {
		add(at, is, row)
	}
	if len(out) == begin {
		return nil, nil
	}
	return out, nil
}

// pruned is addVersion without a version.
func pruned(dst, history []byte, b horizon) ([]byte, error) {
	at, is, row, rest, err := nextVersion(history[1:])
	if err != nil {
		return nil, err
	}
	return addVersion(dst, append([]byte{historyVersion}, rest...), at, is, row, b)
}

func appendVersion(dst []byte, at int64, is bool, row []byte) []byte {
	dst = binary.AppendVarint(dst, at)
	if !is {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	dst = binary.AppendUvarint(dst, uint64(len(row)))
	return append(dst, row...)
}

func nextVersion(b []byte) (at int64, is bool, row, rest []byte, err error) {
	at, n := binary.Varint(b)
	if n <= 0 || len(b) == n {
		return 0, false, nil, nil, errStored
	}
	is, b = b[n] == 1, b[n+1:]
	if !is {
		return at, false, nil, b, nil
	}
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return 0, false, nil, nil, errStored
	}
	b = b[n:]
	return at, true, b[:size], b[size:], nil
}
