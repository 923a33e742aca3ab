package sse

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// A cursor is how far a client has seen a view, as text that survives a
// header and a URL:
//
//	v1.<epoch>.<offset vector>
//
// The vector is base64url of varints: the number of partitions, then each
// partition's next offset as the difference to the one before. It holds
// offsets of the view's topic, so it is good on every serving node.

// maxCursor bounds a cursor in bytes; servers in between allow headers of 8 KB.
const maxCursor = 4 << 10

// The reasons why a cursor gives a fresh snapshot instead of a resume.
const (
	reasonNone       = "no_cursor"
	reasonGarbage    = "cursor_garbage"
	reasonTooLong    = "cursor_too_long"
	reasonEpoch      = "other_epoch"
	reasonPartitions = "other_partitions"
	reasonTooOld     = "cursor_too_old"
	reasonAhead      = "cursor_ahead"
	reasonFiltered   = "filtered" // under a right only what has not changed resumes
	reasonSlow       = "slow"     // not a cursor's: the client fell behind by half the table
)

func encodeCursor(epoch string, vector []int64) string {
	b := binary.AppendUvarint(nil, uint64(len(vector)))
	var last int64
	for _, o := range vector {
		b = binary.AppendVarint(b, o-last)
		last = o
	}
	return "v1." + epoch + "." + base64.RawURLEncoding.EncodeToString(b)
}

// decodeCursor reads a client's cursor; reason is "" where it is good for a
// view of this epoch and number of partitions.
func decodeCursor(s, epoch string, partitions int) (vector []int64, reason string) {
	if s == "" {
		return nil, reasonNone
	}
	if len(s) > maxCursor {
		return nil, reasonTooLong
	}
	part := strings.Split(s, ".")
	if len(part) != 3 || part[0] != "v1" {
		return nil, reasonGarbage
	}
	b, err := base64.RawURLEncoding.DecodeString(part[2])
	if err != nil {
		return nil, reasonGarbage
	}
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)) {
		return nil, reasonGarbage
	}
	b = b[w:]
	var last int64
	for range n {
		d, w := binary.Varint(b)
		if w <= 0 || last+d < 0 {
			return nil, reasonGarbage
		}
		b = b[w:]
		last += d
		vector = append(vector, last)
	}
	if len(b) > 0 {
		return nil, reasonGarbage
	}
	if part[1] != epoch {
		return nil, reasonEpoch
	}
	if len(vector) != partitions {
		return nil, reasonPartitions
	}
	return vector, ""
}
