package codec

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// node is an object whose keys are known one by one: the record, those that
// declared columns lie in, and, as long as that pays, those that records happen
// to have.
type node struct {
	path   string // "loc.at"; "" for the record
	parent *node  // nil for the record
	depth  int    // objects open inside it, itself included
	leaves []*state
	cols   []int // all columns inside, at any depth
	start  *state
	others map[string]*state // keys that are not declared, as far as learned
	other  *state            // all further ones
	misses int               // how often what came next had to be learned
}

// leaf says how a value is read.
type leaf uint8

const (
	leafStart  leaf = iota // nothing: the record's beginning
	leafSkip               // a value that no column wants
	leafObject             // an object that holds columns, but is not one here: null or wrong
	leafString
	leafInt
	leafDouble
	leafBool
	leafTime
	leafBytes
	leafAny
)

var leaves = map[engine.Type]leaf{
	engine.String: leafString, engine.Int: leafInt, engine.Double: leafDouble, engine.Bool: leafBool,
	engine.Timestamp: leafTime, engine.Bytes: leafBytes, engine.Any: leafAny,
}

// state is a place in a record: the value that is to be read there, and what
// may stand between that value and the next one. It has no memory of the way
// to it, so optional and reordered fields cost an edge and not a second graph.
type state struct {
	in    *node
	key   string
	leaf  leaf
	col   int // -1: none
	unit  engine.TimeUnit
	of    *node // leafObject, leafSkip: the object that the value may be; nil: its keys are not known
	whole bool  // leafSkip: an object's keys are not worth knowing
	inner *node // leafAny: declared columns inside the raw text
	// What was learned: the edge that was last taken, and all.
	likely *edge
	edges  []*edge
}

// edge is the text between two values, and the value it leads to.
type edge struct {
	head, mask uint64  // the first word of text
	tail       uint64  // the last, where there are more than eight bytes
	size       int     // of text
	to         *state  // nil: the record ends behind text
	opens      []*node // the objects with columns that it enters, which makes these null
	enters     []*node // the objects without
	text       string
}

// unknown is the likely edge of a state that has none: it fits nowhere.
var unknown = &edge{head: 1}

// rest compares what is behind the first word.
func (e *edge) rest(buf []byte, p int) bool {
	end := p + e.size
	return end <= len(buf) && load(buf, end-8) == e.tail && (e.size <= 16 || string(buf[p:end]) == e.text)
}

// Limits on what is learned: a record with keys that never repeat must not
// make a decoder grow, nor learn without end.
const (
	maxEdges   = 8    // per state
	maxOthers  = 512  // undeclared keys
	maxText    = 256  // bytes between two values
	maxNested  = 8    // objects open around a value that no column wants
	maxMisses  = 256  // in an object without columns: its keys are data, like ids
	maxCredit  = 1024 // edges to learn at once
	batchEarns = 4    // edges to learn more with each batch
)

// newRoot makes the tree of a schema. Types and nesting were checked.
func newRoot(fields []engine.Field) *node {
	return grow(&node{depth: 1}, fields, indexes(len(fields)), 0)
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// grow adds the columns cols to n; the first skip bytes of their names are n's path.
func grow(n *node, fields []engine.Field, cols []int, skip int) *node {
	n.cols = cols
	n.start = &state{in: n, leaf: leafStart, col: -1, likely: unknown}
	n.other = &state{in: n, leaf: leafSkip, col: -1, likely: unknown, whole: true}
	n.others = map[string]*state{}
	inside := map[string][]int{}
	var order []string
	for _, c := range cols {
		key, _, nested := strings.Cut(fields[c].Name[skip:], ".")
		if nested {
			if inside[key] == nil {
				order = append(order, key)
			}
			inside[key] = append(inside[key], c)
			continue
		}
		n.leaves = append(n.leaves, &state{in: n, key: key, leaf: leaves[fields[c].Type], col: c, unit: fields[c].Unit, likely: unknown})
	}
	for _, key := range order {
		cols := inside[key]
		path := fields[cols[0]].Name[:skip+len(key)]
		if l := n.leafOf(key); l != nil { // an `any` with columns inside
			l.inner = grow(&node{path: path, depth: 1}, fields, cols, skip+len(key)+1)
			continue
		}
		child := grow(&node{path: path, parent: n, depth: n.depth + 1}, fields, cols, skip+len(key)+1)
		n.leaves = append(n.leaves, &state{in: n, key: key, leaf: leafObject, col: -1, of: child, likely: unknown})
	}
	return n
}

func (n *node) leafOf(key string) *state {
	for _, l := range n.leaves {
		if l.key == key {
			return l
		}
	}
	return nil
}

// match finds the edge whose text is next in buf, to make it the likely one.
func (s *state) match(buf []byte, p int) *edge {
	for _, e := range s.edges {
		end := p + e.size
		if end <= len(buf) && string(buf[p:end]) == e.text && (e.to != nil || end == len(buf)) {
			s.likely = e
			return e
		}
	}
	return nil
}

// connect parses what stands between the value of s, which ends at p, and the
// next value, and learns it. nil means that it is wrong: see the scanner.
func (d *jsonDecoder) connect(s *state, buf []byte, p int) *edge {
	e := &d.scratch
	e.opens, e.enters = e.opens[:0], e.enters[:0]
	n, q := s.in, space(buf, p)
	inObject := true // q is where a comma or brace is due, else where a key is
	if s.leaf == leafStart {
		if q >= len(buf) || buf[q] != '{' {
			d.stop(q, whyValue)
			return nil
		}
		if q = space(buf, q+1); q >= len(buf) || buf[q] != '}' {
			inObject = false
		}
	}
	for {
		if inObject {
			if q < len(buf) && buf[q] == '}' {
				q = space(buf, q+1)
				if n = n.parent; n != nil {
					continue
				}
				if q < len(buf) {
					d.stop(q, whyTail)
					return nil
				}
				return d.learn(s, e, buf[p:], nil)
			}
			if q >= len(buf) || buf[q] != ',' {
				d.stop(q, whyComma)
				return nil
			}
			q = space(buf, q+1)
		}
		raw, end := d.key(buf, q)
		if end < 0 {
			return nil
		}
		to := d.find(n, raw)
		if end >= len(buf) || buf[end] != '{' || !d.known(to) {
			return d.learn(s, e, buf[p:end], to)
		}
		n = to.of
		if len(n.cols) > 0 {
			e.opens = append(e.opens, n)
		} else {
			e.enters = append(e.enters, n)
		}
		q = space(buf, end+1)
		inObject = q < len(buf) && buf[q] == '}'
	}
}

// find gives the state behind a key of n; raw is the key with its escapes.
func (d *jsonDecoder) find(n *node, raw []byte) *state {
	if bytes.IndexByte(raw, '\\') >= 0 || !utf8.Valid(raw) {
		d.text = appendUnquoted(d.text[:0], raw)
		raw = d.text
	}
	for _, l := range n.leaves {
		if l.key == string(raw) {
			return l
		}
	}
	if s := n.others[string(raw)]; s != nil {
		return s
	}
	if d.others >= maxOthers || len(raw) > maxText || d.plain || d.credit == 0 {
		return n.other
	}
	s := &state{in: n, key: string(raw), leaf: leafSkip, col: -1, likely: unknown}
	n.others[s.key] = s
	d.others++
	return s
}

// known tells whether the keys of the object that is the value of s are known;
// those of one without columns are learned.
func (d *jsonDecoder) known(s *state) bool {
	if s.of != nil {
		return !s.whole
	}
	if s.leaf != leafSkip || s.whole || s.in.depth >= maxNested || d.plain || d.credit == 0 {
		return false
	}
	s.of = grow(&node{parent: s.in, depth: s.in.depth + 1}, nil, nil, 0)
	return true
}

// miss counts that what came behind s had to be learned. Where that goes on, the
// object around it is not worth it: it is skipped as a whole from now on.
func (d *jsonDecoder) miss(s *state) {
	n := s.in
	if n.misses++; n.misses != maxMisses || n.parent == nil {
		return
	}
	for _, owner := range n.parent.others {
		owner.whole = owner.whole || owner.of == n
	}
	d.root.prune(n)
}

// prune forgets all edges that enter gone.
func (n *node) prune(gone *node) {
	through := func(e *edge) bool { return slices.Contains(e.enters, gone) }
	each := func(s *state) {
		s.edges = slices.DeleteFunc(s.edges, through)
		if through(s.likely) {
			s.likely = unknown
		}
		if s.of != nil {
			s.of.prune(gone)
		}
		if s.inner != nil {
			s.inner.prune(gone)
		}
	}
	each(n.start)
	each(n.other)
	for _, s := range n.leaves {
		each(s)
	}
	for _, s := range n.others {
		each(s)
	}
}

// learn makes e an edge of s where there is room for it. The edge it returns is
// good until the next call.
func (d *jsonDecoder) learn(s *state, e *edge, text []byte, to *state) *edge {
	e.to, e.text, e.size = to, view(text), len(text)
	if d.plain || d.credit == 0 || len(text) > maxText {
		return e
	}
	for _, known := range s.edges {
		if known.text == e.text && known.to == to {
			return e // its value made it fail
		}
	}
	d.credit--
	d.miss(s)
	if len(s.edges) == maxEdges {
		s.edges = slices.Delete(s.edges, d.credit%maxEdges, d.credit%maxEdges+1) // any
	}
	learned := &edge{to: to, text: strings.Clone(e.text), size: e.size, opens: slices.Clone(e.opens), enters: slices.Clone(e.enters)}
	learned.head = load(text, 0)
	learned.mask = ^uint64(0) >> (64 - 8*min(e.size, 8))
	if e.size > 8 {
		learned.tail = load(text, e.size-8)
	}
	// A text that begins as another one must be tried before it.
	at := slices.IndexFunc(s.edges, func(known *edge) bool { return strings.HasPrefix(learned.text, known.text) })
	if at < 0 {
		at = len(s.edges)
	}
	s.edges = slices.Insert(s.edges, at, learned)
	s.likely = learned
	return learned
}
