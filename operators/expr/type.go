package expr

import "github.com/leatstream/leat/engine"

// typ is the static type of an expression. A list has k Any, as its value is
// JSON text, and its element type; null alone has k Invalid.
//
//	string  {String, -}      [double]  {Any, Double}
//	any     {Any, -}         null      {Invalid, -}
type typ struct {
	k    engine.Type
	elem engine.Type
}

var (
	tNull      = typ{}
	tString    = typ{k: engine.String}
	tInt       = typ{k: engine.Int}
	tDouble    = typ{k: engine.Double}
	tBool      = typ{k: engine.Bool}
	tTimestamp = typ{k: engine.Timestamp}
	tBytes     = typ{k: engine.Bytes}
	tAny       = typ{k: engine.Any}
)

func listOf(elem engine.Type) typ { return typ{engine.Any, elem} }

func (t typ) list() bool { return t.elem != engine.Invalid }
func (t typ) any() bool  { return t == tAny }
func (t typ) null() bool { return t.k == engine.Invalid }
func (t typ) num() bool  { return numeric(t.k) }

func numeric(t engine.Type) bool { return t == engine.Int || t == engine.Double }

// text tells whether values live in Strs.
func textual(t engine.Type) bool {
	return t == engine.String || t == engine.Bytes || t == engine.Any
}

func (t typ) String() string {
	switch {
	case t.null():
		return "null"
	case t.list():
		return "[" + t.elem.String() + "]"
	}
	return t.k.String()
}

// unify finds the type that holds values of both: null joins anything, int
// becomes double beside a double, and any takes in everything.
func unify(a, b typ) (typ, bool) {
	switch {
	case a == b, b.null():
		return a, true
	case a.null():
		return b, true
	case a.num() && b.num():
		return tDouble, true
	case a.list() && b.list():
		return listOf(engine.Any), true
	case (a.any() || b.any()) && a.k != engine.Bytes && b.k != engine.Bytes:
		return tAny, true
	}
	return typ{}, false
}
