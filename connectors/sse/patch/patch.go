// Package patch tells how a JSON object changed: as a JSON Patch (RFC 6902),
// with a hash of the object before and after, so that who applies it knows
// that both sides speak of the same one.
//
//	{"n":1,"tags":["a"]}  ──Diff──▶  [{"op":"replace","path":"/n","value":2},
//	{"n":2,"tags":["a","b"]}          {"op":"add","path":"/tags/1","value":"b"}]
//
// Hashes are FNV-1a, 64 bits, of the object as canonical JSON: members sorted
// by name, numbers and strings as JavaScript writes them, no spaces (RFC 8785).
// Numbers keep their digits in patches; the hash sees them as doubles.
package patch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Op is one operation of a patch.
type Op struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// Decode reads a JSON value; numbers stay as they are written.
func Decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("read a JSON value: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("read a JSON value: more follows it")
	}
	return v, nil
}

// Diff gives operations that make b of a, both from Decode. It finds what
// changed in objects by name, and in lists what lies between their common
// beginning and end.
func Diff(a, b any) []Op { return diff(nil, "", a, b) }

func diff(ops []Op, path string, a, b any) []Op {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			return diffObjects(ops, path, a, b)
		}
	case []any:
		if b, ok := b.([]any); ok {
			return diffLists(ops, path, a, b)
		}
	}
	if Equal(a, b) {
		return ops
	}
	return append(ops, Op{Op: "replace", Path: path, Value: encode(b)})
}

func diffObjects(ops []Op, path string, a, b map[string]any) []Op {
	names := make([]string, 0, len(a)+len(b))
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		if _, both := a[n]; !both {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		at := path + "/" + escaper.Replace(n)
		old, was := a[n]
		now, is := b[n]
		switch {
		case !is:
			ops = append(ops, Op{Op: "remove", Path: at})
		case !was:
			ops = append(ops, Op{Op: "add", Path: at, Value: encode(now)})
		default:
			ops = diff(ops, at, old, now)
		}
	}
	return ops
}

func diffLists(ops []Op, path string, a, b []any) []Op {
	from := 0
	for from < len(a) && from < len(b) && Equal(a[from], b[from]) {
		from++
	}
	tail := 0
	for tail < len(a)-from && tail < len(b)-from && Equal(a[len(a)-1-tail], b[len(b)-1-tail]) {
		tail++
	}
	a, b = a[from:len(a)-tail], b[from:len(b)-tail]
	at := func(i int) string { return path + "/" + strconv.Itoa(from+i) }
	both := min(len(a), len(b))
	for i := range both {
		ops = diff(ops, at(i), a[i], b[i])
	}
	for i := len(a) - 1; i >= both; i-- {
		ops = append(ops, Op{Op: "remove", Path: at(i)})
	}
	for i := both; i < len(b); i++ {
		ops = append(ops, Op{Op: "add", Path: at(i), Value: encode(b[i])})
	}
	return ops
}

var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1")
	unescaper = strings.NewReplacer("~1", "/", "~0", "~")
)

func encode(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // of Decode: cannot fail
	return bytes.TrimSpace(b.Bytes())
}

// Equal compares two values of Decode; numbers by their digits.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for n, v := range a {
			if w, ok := b[n]; !ok || !Equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}
