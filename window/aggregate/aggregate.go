package aggregate

import (
	"errors"
	"fmt"
)

// Aggregate is one aggregate for given types of arguments. Any goroutine may
// call it; the accumulators and the heap belong to the caller.
type Aggregate interface {
	// Words is the length of an accumulator in 8-byte words.
	Words() int
	// Blobs says which words are references into the Heap (0: none). Who drops
	// or copies an accumulator drops or copies these too.
	Blobs() []int
	// Result is the type of the result.
	Result() Type
	// Add folds row `row` of the arguments into acc. ErrOverflow is an error
	// of the row; acc is then unchanged.
	Add(acc []uint64, args []Column, row int32, h Heap) error
	// Merge folds the accumulator of a later pane into acc; from is only read.
	// On ErrOverflow acc is unchanged.
	Merge(acc, from []uint64, h Heap) error
	// Append writes the result into out at row, which out has already; a null
	// where there is none. Bytes are copied out of the heap.
	Append(acc []uint64, h Heap, out *Column, row int32)
}

// Subtracter is an Aggregate that can take back rows: a table's old row.
type Subtracter interface {
	// Subtract takes back a row that was added.
	Subtract(acc []uint64, args []Column, row int32, h Heap) error
}

// Unmerger is an Aggregate that can take back panes that leave a window, to the
// bit: what is left shows nothing of what was there before. Sums of doubles
// cannot, as 1e16 + 1 - 1e16 is not 1.
type Unmerger interface {
	// Unmerge takes back an accumulator that was merged; from is only read.
	Unmerge(acc, from []uint64, h Heap) error
}

// Layouter is an Aggregate whose words have changed their meaning since it
// first came. What was stored under another layout is not read.
type Layouter interface {
	// Layout is 2 or more; without it the layout is 1.
	Layout() int
}

// Lister is an Aggregate whose result is a list: Any that holds a JSON array.
type Lister interface {
	// Elem is the type of the elements; Any where they are objects.
	Elem() Type
}

// Kind is a line of the table of aggregates.
type Kind struct {
	Name string // as in `aggregates:`
	Doc  string // for users: what it gives, what it does with nulls and NaN
	Args string // what stands in its brackets: "", "x", "[x]", "x, q"
	// Params are the constants behind the expressions, in their order.
	Params []Param
	// OrderFree: the result does not depend on the order of rows (of doubles,
	// but for rounding; where it is by time, but for rows of equal times). The
	// others are marked in explain.
	OrderFree bool
	// Subtracts: its Aggregates are Subtracters, so it may be used over tables.
	Subtracts bool
	// Time: it needs the event time of rows. The caller appends it, a column of
	// type Timestamp, to the arguments of Add and Subtract; New does not see it.
	Time bool
	// New makes the aggregate for arguments of these types and these constants,
	// of which only the last ones may be left out, and only optional ones; the
	// error is for the person who wrote the pipeline.
	New func(args []Type, params []Value) (Aggregate, error)
}

// Param is a constant of an aggregate, such as the q of quantile(x, q).
type Param struct {
	Name     string
	Type     Type // Int, Double, or Timestamp: a duration in milliseconds
	Doc      string
	Optional bool
	Default  Value // where it is optional
}

// Value is a constant: Double of a double, else Int.
type Value struct {
	Int    int64
	Double float64
}

// ErrOverflow reports a result beyond the range of its type.
var ErrOverflow = errors.New("overflow: the result is beyond the range of its type")

// Heap holds the bytes that accumulators refer to. A reference of 0 is none.
type Heap interface {
	// Get gives the bytes of a reference, valid to be read until its accumulator
	// puts others in their place: Puts of other references do not touch them.
	Get(ref uint64) []byte
	// Put stores a copy of b in place of the bytes of old (0: none) and gives
	// its reference; nil gives 0. b may be bytes that Get gave.
	Put(old uint64, b []byte) uint64
}

// Editor is a Heap that gives its bytes to be written, so that changing a few
// of many copies none of them. Of a Heap that is none, each change is a copy.
type Editor interface {
	// Edit gives n bytes in place of old's (0: none) and their reference: they
	// begin with old's bytes, as many as fit; the rest are zeros. They may be
	// written until the next Edit or Put.
	Edit(old uint64, n int) (ref uint64, b []byte)
}

// edit is Edit of any heap.
func edit(h Heap, old uint64, n int) (ref uint64, b []byte) {
	if e, ok := h.(Editor); ok {
		return e.Edit(old, n)
	}
	b = make([]byte, n)
	copy(b, get(h, old))
	ref = h.Put(old, b)
	return ref, h.Get(ref)
}

// drop frees a reference.
func drop(h Heap, ref uint64) {
	if ref != 0 {
		h.Put(ref, nil)
	}
}

// get is h.Get for any ref: a heap may give no reference to no bytes.
func get(h Heap, ref uint64) []byte {
	if ref == 0 {
		return nil
	}
	return h.Get(ref)
}

// constant is the n-th of the constants given, or its default; ok is false
// where it is missing.
func constant(p Param, given []Value, n int) (v Value, ok bool) {
	if n < len(given) {
		return given[n], true
	}
	return p.Default, p.Optional
}

// plain makes the New of a kind without constants.
func plain(name string, fn func(args []Type) (Aggregate, error)) func([]Type, []Value) (Aggregate, error) {
	return func(args []Type, params []Value) (Aggregate, error) {
		if len(params) > 0 {
			return nil, fmt.Errorf("%s takes no constants", name)
		}
		return fn(args)
	}
}

// one checks that there is one argument.
func one(name string, args []Type) (Type, error) {
	if len(args) != 1 {
		return Invalid, fmt.Errorf("%s takes one argument, not %d", name, len(args))
	}
	if args[0] == Invalid || args[0] > Any {
		return Invalid, fmt.Errorf("%s does not know type %s", name, args[0])
	}
	return args[0], nil
}

// number checks that there is one argument and that it is an int or a double.
func number(name string, args []Type) (Type, error) {
	t, err := one(name, args)
	if err == nil && t != Int && t != Double {
		err = fmt.Errorf("%s needs a number, not %s", name, t)
	}
	return t, err
}
