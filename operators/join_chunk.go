package operators

import "encoding/binary"

// The rows of a key are in chunks, by side and time, so that a row looks at
// those it may meet and not at all of its key's, and so that no record of the
// changelog grows with the rows of a key.
//
//	key     side 'l' or 'r' │ time div width, 8 bytes │ number of the chunk │ join key
//	words   rows (heap)     │ bit n: row n has met one │ rows in it, and in the first: chunks << 8
//	row     length │ time - begin │ time - origin │ stamp - time │ columns
//	pane    ends where the last window of the chunk does
const (
	chunkRows  = 0
	chunkMet   = 1
	chunkCount = 2

	chunkMaxRows  = 64 // bits of a word
	chunkMaxBytes = 2 << 10
)

// paneOf is the pane of a side's chunks: where the last window of them ends.
func (j *streamStream) paneOf(port int, bucket int64) int64 {
	return (bucket+1)*j.width - 1 + j.reach[port]
}

// chunkName is the key of a chunk, valid until the next one.
func (j *streamStream) chunkName(port int, bucket int64, n uint64, key string) string {
	b := append(j.name[:0], "lr"[port])
	b = binary.BigEndian.AppendUint64(b, uint64(bucket)^1<<63)
	b = binary.AppendUvarint(b, n)
	j.name = append(b, key...)
	return view(j.name)
}

// chunkOf reads side and stretch of time from a chunk's key.
func chunkOf(name string) (port int, bucket int64) {
	if name[0] == 'r' {
		port = 1
	}
	return port, int64(u64(name[1:]) ^ 1<<63)
}

// chunk walks the rows of one.
type chunk struct {
	rest                []byte
	begin               int64
	time, origin, stamp int64
	row                 []byte
	err                 error
}

func (c *chunk) open(rows []byte, begin int64) { *c = chunk{rest: rows, begin: begin} }

func (c *chunk) next() bool {
	if len(c.rest) == 0 || c.err != nil {
		return false
	}
	d := numbers{b: c.rest}
	r := numbers{b: d.bytes()}
	c.time = c.begin + int64(r.uvarint())
	c.origin = c.time - r.varint()
	c.stamp = c.time + r.varint()
	c.row, c.rest = r.b, d.b
	if c.err = d.err; c.err == nil {
		c.err = r.err
	}
	return c.err == nil
}
