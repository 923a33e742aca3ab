package codec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/leatstream/leat/engine"
)

// Avro makes decoders for avro records. Each value is read with the schema it
// was written with, straight into columns, which find their fields by name (a
// nested column by its path). What a value may be:
//
//	int         int, long, whatever they mean; a decimal without a fraction
//	double      int, long, float, double; a decimal, rounded
//	bool        boolean
//	string      string, enum, uuid, bytes; a decimal as exact text ("12.30")
//	timestamp   timestamp-*, local-timestamp-*, date; an int or long without a
//	            meaning in the column's unit; a string with RFC 3339 text
//	bytes       bytes, fixed, string
//	any         anything, as JSON: a record is an object, bytes are base64, a
//	            decimal is text, a time epoch milliseconds, a union just its value
//
// Where a union holds null, the column and those below it are null. A column
// that the writer's schema lacks has the default of Options.Schema, else it is
// null; a field that Options.Schema renamed is found by its aliases. A field of
// another type, and a schema that is not known, are errors of the value.
func Avro(schema *engine.Schema, opts Options) (func() engine.Decoder, error) {
	if err := checkColumns(schema, "avro"); err != nil {
		return nil, err
	}
	plans := &avroPlans{fields: schema.Fields, tree: newTree(schema.Fields), from: opts.Schemas, known: map[int]avroPlan{}}
	if opts.Schema.Text != "" {
		own, err := parseAvro(opts.Schema)
		if err != nil {
			return nil, err
		}
		if opts.Schemas == nil {
			c := avroCompiler{fields: schema.Fields, strict: true}
			if plans.bare, err = c.root(own, nil, plans.tree); err != nil {
				return nil, err
			}
		}
		plans.reader = own
	} else if opts.Schemas == nil {
		return nil, errors.New("format avro needs a schema: of a registry, or of a file")
	}
	return func() engine.Decoder {
		return &records{schema, &avroReader{plans: plans, known: map[int]avroPlan{}}}
	}, nil
}

// checkColumns checks what all formats with nested values ask of a schema.
func checkColumns(schema *engine.Schema, format string) error {
	if len(schema.Fields) > maxColumns {
		return errTooWide
	}
	for c, f := range schema.Fields {
		switch {
		case f.Type == engine.Invalid || f.Type > engine.Any:
			return fmt.Errorf("column %q: type %s cannot be read from %s", f.Name, f.Type, format)
		case schema.Lookup(f.Name) != c:
			return fmt.Errorf("column %q is declared twice", f.Name)
		case slices.Contains(strings.Split(f.Name, "."), ""):
			return fmt.Errorf("column %q has an empty name", f.Name)
		case strings.Count(f.Name, ".") >= maxDepth/2:
			return fmt.Errorf("column %q is nested too deep", f.Name)
		}
		for k, r := range f.Name {
			if r == '.' {
				if p := schema.Lookup(f.Name[:k]); p >= 0 && schema.Fields[p].Type != engine.Any {
					return fmt.Errorf("column %q is %s and cannot hold %q", f.Name[:k], schema.Fields[p].Type, f.Name)
				}
			}
		}
	}
	return nil
}

// avroPlans finds the way from each writer's schema to the columns. It is
// shared by a source's decoders.
type avroPlans struct {
	fields []engine.Field
	tree   *tree
	reader *avroType // of Options.Schema, or nil
	bare   *avroStep // of values without a frame
	from   Schemas

	mu    sync.Mutex
	known map[int]avroPlan
}

// avroPlan is a way, or why there is none.
type avroPlan struct {
	step *avroStep
	err  error
}

// of gives the plan for values of schema id; an error is not to be kept.
func (p *avroPlans) of(id int) (avroPlan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if plan, ok := p.known[id]; ok {
		return plan, nil
	}
	s, err := fetchSchema(p.from, id, "avro")
	if err != nil {
		return avroPlan{}, err
	}
	var plan avroPlan
	writer, err := parseAvro(s)
	if err == nil {
		c := avroCompiler{fields: p.fields}
		plan.step, err = c.root(writer, p.reader, p.tree)
	}
	if err != nil {
		plan.err = fmt.Errorf("schema %d: %w", id, err)
	}
	p.known[id] = plan
	return plan, nil
}

// avroStep is what to do with one value of a writer's schema.
type avroStep struct {
	do      avroDo
	typ     *avroType
	col     int
	unit    engine.TimeUnit
	null    []int       // columns that a null here makes null
	steps   []*avroStep // of a record's fields, of a union's branches
	missing []avroMissing
	symbols []string  // of an enum, per number; "" is an error, see typ
	also    *avroStep // the same value again: columns inside one of type any
	err     error     // of toError
}

// avroMissing are columns that the writer's schema lacks: null, or of a default.
type avroMissing struct {
	null  []int
	value []byte
	step  *avroStep
}

type avroDo uint8

const (
	toSkip avroDo = iota
	toNull
	toError
	toInt
	toDouble
	toDoubleOfInt
	toDoubleOfFloat
	toDecimalDouble
	toDecimalInt
	toDecimalText
	toBool
	toText
	toBytes
	toSymbol
	toUUID
	toTime
	toDate
	toTimeOfText
	toAny
	toRecord
	toUnion
)

// avroCompiler makes plans.
type avroCompiler struct {
	fields []engine.Field
	strict bool // a column without a field is an error
}

func (c *avroCompiler) root(writer, reader *avroType, t *tree) (*avroStep, error) {
	if writer.kind != avroRecord {
		return nil, fmt.Errorf("the avro schema is %s, want a record", writer.title())
	}
	return c.record(writer, reader, t)
}

// record plans a record's fields into the columns below t.
func (c *avroCompiler) record(w, r *avroType, t *tree) (*avroStep, error) {
	s := &avroStep{do: toRecord, typ: w, null: t.cols(nil)}
	left := slices.Clone(t.kids)
	if r = recordOf(r, w); r == nil {
		r = &avroType{}
	}
	for k := range w.fields {
		f := &w.fields[k]
		kid, rf := r.target(f.name, w, left)
		if kid < 0 {
			s.steps = append(s.steps, &avroStep{do: toSkip, typ: f.typ})
			continue
		}
		step, err := c.value(f.typ, rf, left[kid])
		if err != nil {
			return nil, err
		}
		s.steps = append(s.steps, step)
		left[kid] = nil
	}
	for _, kid := range left {
		if kid == nil {
			continue
		}
		missing := avroMissing{null: kid.cols(nil)}
		if f := r.field(kid.name); f != nil && f.defaults {
			step, err := c.value(f.typ, f.typ, kid)
			if err != nil {
				return nil, err
			}
			missing.value, missing.step = f.fallback, step
		} else if c.strict {
			return nil, fmt.Errorf("column %q: the avro schema has no field %q", c.fields[missing.null[0]].Name, kid.name)
		}
		s.missing = append(s.missing, missing)
	}
	return s, nil
}

// recordOf is the record of a reader's schema that stands for w, or nil.
func recordOf(r, w *avroType) *avroType {
	if r == nil || r.kind == avroRecord {
		return r
	}
	var first *avroType
	for _, b := range r.branches {
		if b.kind == avroRecord && b.name == w.name {
			return b
		}
		if b.kind == avroRecord && first == nil {
			first = b
		}
	}
	return first
}

func (t *avroType) field(name string) *avroField {
	for k := range t.fields {
		if t.fields[k].name == name {
			return &t.fields[k]
		}
	}
	return nil
}

// target finds the column for the writer's field of a name: that of the same
// name, or that of a reader's field with this alias. It gives the reader's
// type too.
func (t *avroType) target(name string, w *avroType, left []*tree) (kid int, of *avroType) {
	at := func(name string) int {
		return slices.IndexFunc(left, func(k *tree) bool { return k != nil && k.name == name })
	}
	if f := t.field(name); f != nil {
		return at(name), f.typ
	}
	for k := range t.fields {
		f := &t.fields[k]
		if slices.Contains(f.aliases, name) && w.field(f.name) == nil {
			return at(f.name), f.typ
		}
	}
	return at(name), nil
}

// value plans a value into the columns at and below t.
func (c *avroCompiler) value(w, r *avroType, t *tree) (*avroStep, error) {
	if w.kind == avroUnion {
		s := &avroStep{do: toUnion, typ: w}
		var first error
		good := false
		for _, b := range w.branches {
			step, err := c.value(b, r, t)
			if err != nil {
				step = &avroStep{do: toError, typ: b, err: err}
				if first == nil {
					first = err
				}
			} else if b.kind != avroNull {
				good = true
			}
			s.steps = append(s.steps, step)
		}
		if !good && first != nil {
			return nil, first
		}
		return s, nil
	}
	if w.kind == avroNull {
		return &avroStep{do: toNull, null: t.cols(nil)}, nil
	}
	if t.col < 0 {
		return c.inside(w, r, t)
	}
	s, err := c.leaf(w, r, t.col)
	if err == nil && len(t.kids) > 0 {
		if s.also, err = c.inside(w, r, &tree{col: -1, kids: t.kids}); err != nil {
			// A value that is no object has nothing inside, as in JSON.
			s.also, err = nil, nil
			s.null = (&tree{col: -1, kids: t.kids}).cols(nil)
		}
	}
	return s, err
}

// inside plans a value of which only what is inside is a column.
func (c *avroCompiler) inside(w, r *avroType, t *tree) (*avroStep, error) {
	if w.kind == avroRecord {
		return c.record(w, r, t)
	}
	return nil, fmt.Errorf("column %q: want a record at %q, the avro schema has %s", c.fields[t.cols(nil)[0]].Name, t.name, w.title())
}

// leaf plans a value into the column col.
func (c *avroCompiler) leaf(w, r *avroType, col int) (*avroStep, error) {
	f := c.fields[col]
	s := &avroStep{do: toError, typ: w, col: col, unit: f.Unit}
	switch f.Type {
	case engine.Any:
		s.do = toAny
	case engine.Int:
		switch {
		case w.kind == avroInt:
			s.do = toInt
		case w.logical == logicalDecimal:
			s.do = toDecimalInt
		}
	case engine.Double:
		switch {
		case w.kind == avroInt:
			s.do = toDoubleOfInt
		case w.kind == avroFloat:
			s.do = toDoubleOfFloat
		case w.kind == avroDouble:
			s.do = toDouble
		case w.logical == logicalDecimal:
			s.do = toDecimalDouble
		}
	case engine.Bool:
		if w.kind == avroBoolean {
			s.do = toBool
		}
	case engine.Timestamp:
		switch {
		case w.logical == logicalMillis:
			s.do, s.unit = toTime, engine.Millis
		case w.logical == logicalMicros:
			s.do, s.unit = toTime, engine.Micros
		case w.logical == logicalNanos:
			s.do, s.unit = toTime, engine.Nanos
		case w.logical == logicalDate:
			s.do = toDate
		case w.kind == avroInt:
			s.do = toTime
		case w.kind == avroString:
			s.do = toTimeOfText
		}
	case engine.Bytes:
		if w.kind == avroBytes || w.kind == avroFixed || w.kind == avroString {
			s.do = toBytes
		}
	case engine.String:
		switch {
		case w.logical == logicalDecimal:
			s.do = toDecimalText
		case w.logical == logicalUUID:
			s.do = toUUID
		case w.kind == avroEnum:
			s.do = toSymbol
			s.symbols = symbolsFor(w, r)
		case w.kind == avroString, w.kind == avroBytes:
			s.do = toText
		}
	}
	if s.do == toError {
		return nil, fmt.Errorf("column %q: want %s, the avro schema has %s", f.Name, f.Type, w.title())
	}
	return s, nil
}

// symbolsFor are the symbols of an enum as the reader's schema knows them: one
// that it does not have is its default, or "".
func symbolsFor(w, r *avroType) []string {
	if r != nil && r.kind == avroUnion {
		r = r.inner()
	}
	if r == nil || r.kind != avroEnum {
		return w.symbols
	}
	symbols := slices.Clone(w.symbols)
	for k, s := range symbols {
		if slices.Contains(r.symbols, s) {
			continue
		}
		symbols[k] = ""
		if r.fallback >= 0 {
			symbols[k] = r.symbols[r.fallback]
		}
	}
	return symbols
}
