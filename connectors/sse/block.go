package sse

import (
	"bytes"
	"sync"
)

// block is one event, made once and shared by all clients that get it: as
// text of an event stream, and, for the transports that have messages, as JSON.
//
//	event: delta                          {"event":"delta",
//	data: {"upsert":[…]}                   "data":{"upsert":[…]},
//	id: v1.…                               "id":"v1.…"}
//
// A block of an id alone moves the cursor; its message is named "cursor".
type block struct {
	text []byte // ends with an empty line; data is one line

	once sync.Once
	json []byte
}

// eventBlock makes a block of JSON without raw line ends.
func eventBlock(kind string, data []byte) *block {
	text := make([]byte, 0, len(kind)+len(data)+16)
	text = append(append(text, "event: "...), kind...)
	text = append(append(text, "\ndata: "...), data...)
	return &block{text: append(text, "\n\n"...)}
}

// cursorBlock moves a client's cursor and wakes no script.
func cursorBlock(cursor string) *block { return &block{text: idBlock(cursor)} }

func blocksOf(texts [][]byte) []*block {
	blocks := make([]*block, len(texts))
	for i, t := range texts {
		blocks[i] = &block{text: t}
	}
	return blocks
}

// kind is the event's name; "" where there is only an id, or less.
func (b *block) kind() string { return b.line("event: ") }

// id is the cursor after the block; "" where it does not move.
func (b *block) id() string { return b.line("id: ") }

func (b *block) line(name string) string {
	for line := range bytes.Lines(b.text) {
		if value, ok := bytes.CutPrefix(line, []byte(name)); ok {
			return string(bytes.TrimSuffix(value, []byte("\n")))
		}
	}
	return ""
}

// message is the block as JSON, encoded when it is first needed; nil where it
// says nothing but when to reconnect.
func (b *block) message() []byte {
	b.once.Do(func() { b.json = messageOf(b.text) })
	return b.json
}

func messageOf(text []byte) []byte {
	var kind, data, id []byte
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(": "))
		switch string(name) {
		case "event":
			kind = value
		case "data":
			data = value
		case "id":
			id = value
		}
	}
	if kind == nil && id == nil {
		return nil
	}
	if kind == nil {
		kind, data = []byte("cursor"), []byte("{}")
	}
	m := make([]byte, 0, len(text)+32)
	m = append(append(m, `{"event":"`...), kind...)
	m = append(append(m, `","data":`...), data...)
	if id != nil {
		m = append(append(append(m, `,"id":"`...), id...), '"')
	}
	return append(m, '}')
}
