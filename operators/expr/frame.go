package expr

import (
	"errors"
	"unsafe"

	"github.com/leatstream/leat/engine"
)

// evalFn computes an expression for the rows of sel, which it does not
// change. The column returned has entries for these rows only; it belongs to
// the node, until its next call.
type evalFn func(f *frame, sel []int32) *engine.Column

// keepFn appends the rows of sel where a bool expression is true to out[:0],
// which has room for all of sel and may share its memory.
type keepFn func(f *frame, sel, out []int32) []int32

// frame is what an evaluation reads: a batch's rows or, in the predicate of a
// list function, the elements of one row's list.
//
//	batch     row 0   row 1   row 2          frame, parent nil
//	                    │
//	list            [e0 e1 e2 e3]            frame, parent row 1
type frame struct {
	*run
	n      int
	cols   []engine.Column // parent nil
	parent *frame
	row    int32         // the parent's row behind all rows of this frame
	elems  engine.Column // the elements
	base   int           // #index of row 0
}

// run is what the frames of one evaluation share.
type run struct {
	b     *engine.Batch
	bad   []bool // per row of b, where any failed
	fails []failure
	arena []byte
	chunk int
	steps []int32 // per row of b: steps taken over lists
	built []int32 // per row of b: bytes of texts built
	spare []bool
}

type failure struct {
	row int32
	err error
}

// errNull is how a function says that its result is null.
var errNull = errors.New("null")

// root is the row of the batch behind row i.
func (f *frame) root(i int32) int32 {
	for f.parent != nil {
		i, f = f.row, f.parent
	}
	return i
}

// fail reports an expression error on row i; the first one of a row counts.
func (f *frame) fail(i int32, err error) {
	i = f.root(i)
	if f.bad == nil {
		if cap(f.spare) < f.b.N {
			f.spare = make([]bool, f.b.N)
		}
		f.bad = f.spare[:f.b.N]
		clear(f.bad)
	}
	if !f.bad[i] {
		f.bad[i] = true
		f.fails = append(f.fails, failure{i, err})
	}
}

// Bytes that expressions build come in chunks, so that a batch of short
// strings costs one allocation; a chunk lives as long as any string in it.
const (
	firstChunkBytes = 1 << 10
	maxChunkBytes   = 64 << 10
)

// bytes gives an empty slice with room for n bytes; keep ends its use.
func (r *run) bytes(n int) []byte {
	if cap(r.arena)-len(r.arena) < n {
		r.chunk = min(max(2*r.chunk, firstChunkBytes), maxChunkBytes)
		r.arena = make([]byte, 0, max(r.chunk, n))
	}
	return r.arena[len(r.arena):len(r.arena):cap(r.arena)]
}

// keep turns what was appended to a slice from bytes into a string.
func (r *run) keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if room := r.arena[len(r.arena):cap(r.arena)]; len(room) >= len(b) && &room[0] == &b[0] {
		r.arena = r.arena[:len(r.arena)+len(b)]
	}
	return unsafe.String(&b[0], len(b))
}

// scratch is a node's result column; its null flags exist only while needed.
type scratch struct {
	engine.Column
	spare []bool
}

// reset gives the column type t, n entries of garbage and no nulls.
func (s *scratch) reset(t engine.Type, n int) *engine.Column {
	s.Nulls = nil
	s.Column.Reset(t, n)
	return &s.Column
}

// nulls gives the column null flags, all false when it had none.
func (s *scratch) nulls(n int) []bool {
	if s.Nulls == nil {
		if cap(s.spare) < n {
			s.spare = make([]bool, n, n+n/4)
		}
		s.Nulls = s.spare[:n]
		clear(s.Nulls)
	}
	return s.Nulls
}

// setNull makes row i null, its entry the zero value.
func (s *scratch) setNull(i int32, n int) {
	s.nulls(n)[i] = true
	switch s.Type {
	case engine.Int, engine.Timestamp:
		s.Ints[i] = 0
	case engine.Double:
		s.Doubles[i] = 0
	case engine.Bool:
		s.Bools[i] = false
	case engine.String, engine.Bytes, engine.Any:
		s.Strs[i] = ""
	}
}

// nullsOf makes the rows null where in is null.
func (s *scratch) nullsOf(in *engine.Column, sel []int32, n int) {
	if in.Nulls == nil {
		return
	}
	for _, i := range sel {
		if in.Nulls[i] {
			s.setNull(i, n)
		}
	}
}

// rowsBuf is a node's selection of rows.
type rowsBuf []int32

func (r *rowsBuf) take(n int) []int32 {
	if cap(*r) < n {
		*r = make([]int32, n, n+n/4)
	}
	return (*r)[:0]
}

func ints(c *engine.Column) []int64      { return c.Ints }
func doubles(c *engine.Column) []float64 { return c.Doubles }
func bools(c *engine.Column) []bool      { return c.Bools }
func strs(c *engine.Column) []string     { return c.Strs }

// fn1 computes f of each row that is not null. An error of f fails the row;
// errNull makes it null.
func fn1[A, R any](t typ, x *node, in func(*engine.Column) []A, out func(*engine.Column) []R, f func(A) (R, error)) *node {
	var s scratch
	return &node{t: t, fails: true, eval: func(fr *frame, sel []int32) *engine.Column {
		a := x.eval(fr, sel)
		c := s.reset(t.k, fr.n)
		av, cv, costly := in(a), out(c), textual(t.k) || fr.parent != nil
		for _, i := range sel {
			if a.Null(i) {
				s.setNull(i, fr.n)
				continue
			}
			v, err := f(av[i])
			if err == nil && costly {
				cv[i] = v
				err = fr.charge(i, c, a)
			}
			if err != nil {
				s.failed(fr, i, err)
				continue
			}
			cv[i] = v
		}
		return c
	}}
}

// fn2 is fn1 for two arguments; a null in either makes null.
func fn2[A, B, R any](t typ, x, y *node, inA func(*engine.Column) []A, inB func(*engine.Column) []B, out func(*engine.Column) []R, f func(A, B) (R, error)) *node {
	var s scratch
	return &node{t: t, fails: true, eval: func(fr *frame, sel []int32) *engine.Column {
		a, b := x.eval(fr, sel), y.eval(fr, sel)
		c := s.reset(t.k, fr.n)
		av, bv, cv, costly := inA(a), inB(b), out(c), textual(t.k) || fr.parent != nil
		for _, i := range sel {
			if a.Null(i) || b.Null(i) {
				s.setNull(i, fr.n)
				continue
			}
			v, err := f(av[i], bv[i])
			if err == nil && costly {
				cv[i] = v
				err = fr.charge(i, c, a, b)
			}
			if err != nil {
				s.failed(fr, i, err)
				continue
			}
			cv[i] = v
		}
		return c
	}}
}

func (s *scratch) failed(f *frame, i int32, err error) {
	s.setNull(i, f.n)
	if err != errNull {
		f.fail(i, err)
	}
}

// upTo is the selection of rows 0 to n-1.
func upTo(buf *rowsBuf, n int) []int32 {
	sel := buf.take(n)
	for i := range n {
		sel = append(sel, int32(i))
	}
	*buf = sel
	return sel
}

// rowwise computes a function of any number of arguments, row by row, where none
// of them is null. in has a column per argument; do sets row i of out.
func rowwise(t typ, args []*node, do func(f *frame, i int32, in []*engine.Column, out *engine.Column) error) *node {
	var s scratch
	in := make([]*engine.Column, len(args))
	return &node{t: t, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		for k, x := range args {
			in[k] = x.eval(f, sel)
		}
		out := s.reset(t.k, f.n)
		costly := textual(t.k) || f.parent != nil
	rows:
		for _, i := range sel {
			for _, c := range in {
				if c.Null(i) {
					s.setNull(i, f.n)
					continue rows
				}
			}
			err := do(f, i, in, out)
			if err == nil && costly {
				err = f.charge(i, out, in...)
			}
			if err != nil {
				s.failed(f, i, err)
			}
		}
		return out
	}}
}

// retype gives the same values as another type that is stored alike.
func retype(t typ, x *node) *node {
	var view engine.Column
	return &node{at: x.at, t: t, fails: x.fails, eval: func(f *frame, sel []int32) *engine.Column {
		view = *x.eval(f, sel)
		view.Type = t.k
		return &view
	}}
}
