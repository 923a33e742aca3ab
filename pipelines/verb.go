package pipelines

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// step is the typed syntax of one kind of transform, and all that the kind
// knows to do with it. A kind is one file, verb_<kind>.go.
//
//	read ─▶ step ─▶ derive: schemas, expressions ─▶ needs: columns ─▶ build: nodes
type step interface {
	// inputs are the names of further inputs, beside Transform.Input.
	inputs() []Word
	// sides are the names of further outputs: streams of their own.
	sides() []Word
	// derive computes what the transform makes of d.in: it changes d.out, which
	// is a copy of the first input, and adds the d.sides. What is wrong is
	// reported; what is broken already is left alone.
	derive(c *compiler, t *Transform, d *derivation)
	// needs tells which columns of the inputs are read where those in need are
	// read of the output (of side outputs: in needs of their own, see builder).
	needs(d *derivation, need map[string]bool, want func(in *stream, column string))
	// build adds the operators behind the inputs' places, and gives the place
	// of the output. Side outputs are put into builder.places.
	build(b *builder, d *derivation, at []place) (place, error)
}

// single is what most kinds have: one input, one output.
type single struct{}

func (single) inputs() []Word { return nil }
func (single) sides() []Word  { return nil }

// verb is a kind of transform by its name.
type verb struct {
	name string
	read func(l *loader, t *Transform, f *fields) step
	// ownInputs: the inputs have keys of their own, there is no `input`.
	ownInputs bool
}

// verbs are all kinds of transform; kinds.go has their keys.
func verbs() []verb {
	return []verb{
		{name: "aggregate", read: readAggregate},
		{name: "branch", read: readBranch},
		{name: "dedupe", read: readDedupe},
		{name: "detect", read: readDetect},
		{name: "filter", read: readFilter},
		{name: "flat_map", read: readFlatMap},
		{name: "join", read: readJoin},
		{name: "map", read: readMap},
		{name: "reduce", read: readReduce},
		{name: "rekey", read: readRekey},
		{name: "top", read: readTop},
		{name: "union", read: readUnion, ownInputs: true},
		{name: "upcast", read: readUpcast},
	}
}

func findVerb(name string) (verb, bool) {
	for _, v := range verbs() {
		if v.name == name {
			return v, true
		}
	}
	return verb{}, false
}

// derivation is what a transform comes down to: the output, and what the
// operator needs, compiled against all columns of the input.
type derivation struct {
	t         *Transform
	in        []*stream
	out       *stream
	sides     []*stream
	where     *expr.Program // filter
	columns   []mapColumn   // map, rekey
	group     []groupColumn // keyed kinds
	functions []function    // aggregate
	having    *expr.Program
	reads     map[string]bool // columns of the first input that its expressions and keys read
	useRecord bool            // an expression asks for the record behind the row
	reshard   bool            // rows must go through a repartition topic first
}

// side adds a further output, a copy of the first input called w.
func (d *derivation) side(w Word) *stream {
	s := *d.in[0]
	s.name, s.source, s.step, s.inputs, s.reads, s.main = w.Text, nil, d.t, d.in, 0, d.out
	s.broken = d.out.broken
	d.sides = append(d.sides, &s)
	return &s
}

type mapColumn struct {
	field engine.Field
	from  int // input column, or -1
	expr  *expr.Program
}

type groupColumn struct {
	name string
	word Word
	from int // input column, or -1
	expr *expr.Program
}

// passOn wants each column in need that the input has, too: for kinds that let
// columns through under their names.
func passOn(in *stream, need map[string]bool, want func(*stream, string)) {
	for name := range need {
		if in.schema.Lookup(name) >= 0 {
			want(in, name)
		}
	}
}
