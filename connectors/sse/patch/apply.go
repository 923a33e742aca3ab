package patch

import (
	"fmt"
	"strconv"
	"strings"
)

// Apply gives doc after the operations. doc (of Decode) is not changed, the
// result shares what stays the same. All operations apply or none.
func Apply(doc any, ops []Op) (any, error) {
	var err error
	for i, op := range ops {
		if doc, err = apply(doc, op); err != nil {
			return nil, fmt.Errorf("apply operation %d (%s %s): %w", i, op.Op, op.Path, err)
		}
	}
	return doc, nil
}

func apply(doc any, op Op) (any, error) {
	path, err := pointer(op.Path)
	if err != nil {
		return nil, err
	}
	var value any
	switch op.Op {
	case "add", "replace", "test":
		if value, err = Decode(op.Value); err != nil {
			return nil, err
		}
	case "move", "copy":
		from, err := pointer(op.From)
		if err != nil {
			return nil, err
		}
		if op.Op == "move" && strings.HasPrefix(op.Path, op.From+"/") {
			return nil, fmt.Errorf("a value cannot move into itself")
		}
		if value, err = find(doc, from); err != nil {
			return nil, err
		}
		if op.Op == "move" {
			if doc, err = edit(doc, from, remove); err != nil {
				return nil, err
			}
		}
	}
	switch op.Op {
	case "add", "move", "copy":
		if len(path) == 0 {
			return value, nil
		}
		return edit(doc, path, func(in any, key string) (any, error) { return add(in, key, value) })
	case "replace":
		if len(path) == 0 {
			return value, nil
		}
		return edit(doc, path, func(in any, key string) (any, error) { return replace(in, key, value) })
	case "remove":
		return edit(doc, path, remove)
	case "test":
		is, err := find(doc, path)
		if err == nil && !Equal(is, value) {
			err = fmt.Errorf("the value is another one")
		}
		return doc, err
	}
	return nil, fmt.Errorf("there is no such operation")
}

// pointer takes a JSON pointer (RFC 6901) apart.
func pointer(p string) ([]string, error) {
	if p == "" {
		return nil, nil
	}
	if p[0] != '/' {
		return nil, fmt.Errorf("%q is no pointer", p)
	}
	parts := strings.Split(p[1:], "/")
	for i := range parts {
		parts[i] = unescaper.Replace(parts[i])
	}
	return parts, nil
}

func find(doc any, path []string) (any, error) {
	for _, key := range path {
		var err error
		if doc, err = step(doc, key); err != nil {
			return nil, err
		}
	}
	return doc, nil
}

func step(in any, key string) (any, error) {
	switch in := in.(type) {
	case map[string]any:
		if v, ok := in[key]; ok {
			return v, nil
		}
	case []any:
		if i, ok := index(key); ok && i < len(in) {
			return in[i], nil
		}
	}
	return nil, fmt.Errorf("there is no %q", key)
}

// index reads a place in a list: digits without leading zeros.
func index(key string) (int, bool) {
	i, err := strconv.Atoi(key)
	return i, err == nil && strconv.Itoa(i) == key && i >= 0
}

// edit copies what leads to a place and changes it there.
func edit(doc any, path []string, change func(in any, key string) (any, error)) (any, error) {
	if len(path) == 0 {
		return nil, fmt.Errorf("the whole document cannot be removed")
	}
	if len(path) == 1 {
		return change(clone(doc), path[0])
	}
	inner, err := step(doc, path[0])
	if err != nil {
		return nil, err
	}
	if inner, err = edit(inner, path[1:], change); err != nil {
		return nil, err
	}
	return replace(clone(doc), path[0], inner)
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v)+1)
		for n, x := range v {
			c[n] = x
		}
		return c
	case []any:
		return append(make([]any, 0, len(v)+1), v...)
	}
	return v
}

// add, replace and remove change in, which is a copy already.

func add(in any, key string, value any) (any, error) {
	switch in := in.(type) {
	case map[string]any:
		in[key] = value
		return in, nil
	case []any:
		i, ok := index(key)
		if key == "-" {
			i, ok = len(in), true
		}
		if ok && i <= len(in) {
			in = append(in, nil)
			copy(in[i+1:], in[i:])
			in[i] = value
			return in, nil
		}
	}
	return nil, fmt.Errorf("there is no place %q", key)
}

func replace(in any, key string, value any) (any, error) {
	if _, err := step(in, key); err != nil {
		return nil, err
	}
	switch in := in.(type) {
	case map[string]any:
		in[key] = value
	case []any:
		i, _ := index(key)
		in[i] = value
	}
	return in, nil
}

func remove(in any, key string) (any, error) {
	if _, err := step(in, key); err != nil {
		return nil, err
	}
	if m, ok := in.(map[string]any); ok {
		delete(m, key)
		return m, nil
	}
	i, _ := index(key)
	list := in.([]any)
	return append(list[:i], list[i+1:]...), nil
}
