package expr

import (
	"fmt"

	"github.com/leatstream/leat/engine"
)

// keys are the names of a JSON object, values its values: in the order written,
// of a name that comes twice the last value, at its first place.
func keys(_ *compiler, k call) (*node, error) {
	return k.ofObject(engine.String, func(buf []byte, key, _ string) []byte { return engine.AppendString(buf, key) })
}

func values(_ *compiler, k call) (*node, error) {
	return k.ofObject(engine.Any, func(buf []byte, _, value string) []byte { return append(buf, value...) })
}

func (k call) ofObject(elem engine.Type, add func(buf []byte, key, value string) []byte) (*node, error) {
	if !k.args[0].t.any() {
		return nil, k.wrong(0)
	}
	return rowwise(listOf(elem), k.args, func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		type entry struct{ key, value string }
		var entries []entry
		place := map[string]int{}
		s := in[0].Strs[i]
		if !members(s, func(key, v string) bool {
			name := textOf(key)
			if at, again := place[name]; again {
				entries[at].value = v
				return true
			}
			place[name] = len(entries)
			entries = append(entries, entry{name, v})
			return true
		}) {
			return fmt.Errorf("%s() of %s", k.name, jsonKind(s))
		}
		if !f.step(i, len(entries)) {
			return errTooManySteps
		}
		buf := append(f.bytes(len(s)), '[')
		for n, e := range entries {
			if n > 0 {
				buf = append(buf, ',')
			}
			buf = add(buf, e.key, e.value)
		}
		if len(buf) > maxTextValue {
			return errTooLong
		}
		out.Strs[i] = f.keep(append(buf, ']'))
		return nil
	}), nil
}

// get is get(x, key): x[key].
func get(c *compiler, k call) (*node, error) {
	return c.partBy(k.args[0], k.args[1], k.at)
}
