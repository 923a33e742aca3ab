package pipelines

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// claimsColumn is the name by which a filter reads the viewer's claims.
const claimsColumn = "claims"

// CompileFilter makes a filter of a view's rows: what a client asks for
// (where=), or, with claims, what a viewer may see.
//
//	region == "eu" and n > 10
//	region in claims.regions or claims.role == "admin"
//
// The expression is one of the language, over the view's columns; claims.x is
// a constant of whatever the claim is, null where there is no such claim. keep
// gets a row as the view has it, a JSON object, and may be called from many
// goroutines. A row is not kept where the expression is null or fails, or where
// a column that it reads is of another type. The error says where the
// expression is wrong; claims hide a column of that name.
func CompileFilter(view engine.ViewSpec, where string, claims map[string]any) (keep func(row []byte) bool, err error) {
	schema, err := filterSchema(view, claims != nil)
	if err != nil {
		return nil, err
	}
	p, err := expr.Compile(where, expr.Env{Schema: schema})
	if err != nil {
		if e, ok := err.(*expr.Error); ok {
			return nil, fmt.Errorf("at character %d: %w", utf8.RuneCountInString(where[:e.Offset])+1, err)
		}
		return nil, err
	}
	if t := p.Type(); t != engine.Bool && t != engine.Invalid {
		return nil, fmt.Errorf("a filter is true or false, this is %s", t)
	}
	var text []byte
	if claims != nil {
		if text, err = json.Marshal(claims); err != nil {
			return nil, fmt.Errorf("read the claims: %w", err)
		}
	}
	f := &filterPlan{program: p, schema: schema, columns: map[string]int{}, claims: string(text)}
	for _, c := range p.Columns() {
		if f.claims == "" || schema.Fields[c].Name != claimsColumn {
			f.columns[schema.Fields[c].Name] = c
		}
	}
	f.pool.New = func() any { return f.open() }
	return f.keep, nil
}

// filterSchema is what a filter may read: the view's columns, those that the
// sink adds by itself, and the claims.
func filterSchema(view engine.ViewSpec, claims bool) (*engine.Schema, error) {
	var fields []engine.Field
	seen := map[string]bool{}
	add := func(name string, t engine.Type) {
		if !seen[name] {
			seen[name] = true
			fields = append(fields, engine.Field{Name: name, Type: t})
		}
	}
	if claims {
		add(claimsColumn, engine.Any)
	}
	for _, c := range view.Columns {
		t, ok := engine.ParseType(c.Type)
		if !ok {
			return nil, fmt.Errorf("view %s: column %q has a type that is not known here: %s", view.Name, c.Name, c.Type)
		}
		if claims && len(c.Name) > len(claimsColumn) && c.Name[:len(claimsColumn)+1] == claimsColumn+"." {
			continue
		}
		add(c.Name, t)
	}
	if view.Windowed {
		add("window_start", engine.Timestamp)
		add("window_end", engine.Timestamp)
		add("final", engine.Bool)
	}
	if view.Stream {
		add("_time", engine.Timestamp)
	}
	return engine.NewSchema(fields...), nil
}

// filterPlan is a compiled filter; only its pool changes.
type filterPlan struct {
	program *expr.Program
	schema  *engine.Schema
	columns map[string]int // that are read
	claims  string         // JSON; "": none
	pool    sync.Pool      // of *filterEval
}

// filterEval evaluates a filter for one row at a time.
type filterEval struct {
	eval   *expr.Eval
	batch  engine.Batch
	out    []int32
	failed bool
}

func (f *filterPlan) open() *filterEval {
	e := &filterEval{eval: f.program.New(), out: make([]int32, 1)}
	e.batch = engine.Batch{Schema: f.schema, N: 1, Sel: []int32{0}, Cols: make([]engine.Column, len(f.schema.Fields))}
	for i, field := range f.schema.Fields {
		e.batch.Cols[i].Reset(field.Type, 1)
		if field.Name == claimsColumn && f.claims != "" {
			e.batch.Cols[i].Strs[0] = f.claims
		}
	}
	return e
}

func (f *filterPlan) keep(row []byte) bool {
	e := f.pool.Get().(*filterEval)
	defer f.pool.Put(e)
	e.failed = false
	if !f.read(e, row) {
		return false
	}
	kept, err := e.eval.Filter(&e.batch, e.batch.Cols, e.batch.Sel, e.out, func(int32, error) error {
		e.failed = true
		return nil
	})
	return err == nil && !e.failed && len(kept) == 1
}

// read takes the columns in need out of a row; false: it is no row of the view.
func (f *filterPlan) read(e *filterEval, row []byte) bool {
	for _, c := range f.columns {
		e.batch.Cols[c].SetNull(0, 1)
	}
	return sse.EachMember(row, func(name, value []byte) bool {
		c, ok := f.column(name)
		return !ok || setCell(&e.batch.Cols[c], value)
	})
}

// column finds a column by its quoted name, without an allocation where the
// name has no escapes.
func (f *filterPlan) column(quoted []byte) (c int, ok bool) {
	if len(quoted) >= 2 && bytes.IndexByte(quoted, '\\') < 0 {
		c, ok = f.columns[string(quoted[1:len(quoted)-1])]
	} else {
		c, ok = f.columns[unquoted(quoted)]
	}
	return c, ok
}

// setCell reads a JSON value as a column's type, as a view's rows have it: big
// integers are text, timestamps epoch milliseconds, bytes base64.
func setCell(c *engine.Column, value []byte) bool {
	if string(value) == "null" {
		c.SetNull(0, 1)
		return true
	}
	if c.Nulls != nil {
		c.Nulls[0] = false
	}
	if c.Type == engine.Any {
		c.Strs[0] = string(value)
		return true
	}
	text, quoted := string(value), value[0] == '"'
	if quoted {
		text = unquoted(value)
	}
	var err error
	switch c.Type {
	case engine.String:
		c.Strs[0] = text
		return quoted
	case engine.Int, engine.Timestamp:
		c.Ints[0], err = strconv.ParseInt(text, 10, 64)
	case engine.Double:
		c.Doubles[0], err = strconv.ParseFloat(text, 64)
	case engine.Bool:
		c.Bools[0] = text == "true"
		return !quoted && (text == "true" || text == "false")
	case engine.Bytes:
		var b []byte
		b, err = base64.StdEncoding.DecodeString(text)
		c.Strs[0] = string(b)
		return quoted && err == nil
	}
	return err == nil
}

// unquoted is a JSON string's text; "" where it is none.
func unquoted(quoted []byte) string {
	plain := len(quoted) >= 2
	for _, c := range quoted {
		plain = plain && c != '\\' && c < utf8.RuneSelf
	}
	if plain {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s)
	return s
}
