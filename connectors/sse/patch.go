package sse

import (
	"bytes"
	"encoding/json"

	"github.com/leatstream/leat/connectors/sse/patch"
	"github.com/leatstream/leat/engine"
)

// patchOf is a changed row as a patch of what the group's clients hold:
//
//	{"_key":"DE","base":"<hash before>","hash":"<hash after>","ops":[…]}
//
// nil: the row goes whole, as nobody asked for patches, it is new, or a patch
// would be no smaller.
func patchOf(r *row, old []byte, f filter) []byte {
	if !f.patch || old == nil || !patchable(old) || !patchable(r.value) {
		return nil
	}
	a, err := patch.Decode(old)
	if err != nil {
		return nil
	}
	b, err := patch.Decode(r.value)
	if err != nil {
		return nil
	}
	ops := patch.Diff(a, b)
	if ops == nil {
		ops = []patch.Op{}
	}
	p := engine.AppendString([]byte(`{"_key":`), keyText(r.key))
	p = append(append(append(p, `,"base":"`...), patch.Hash(a)...), `","hash":"`...)
	p = append(append(p, patch.Hash(b)...), `","ops":`...)
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if e.Encode(ops) != nil {
		return nil
	}
	p = append(append(p, bytes.TrimSpace(text.Bytes())...), '}')
	if len(p) >= len(r.value)+len(r.key) {
		return nil
	}
	return p
}

// patchable tells whether both sides read a row alike: without halves of
// surrogate pairs, which JavaScript keeps, and a _key of its own, which the
// row's identity hides.
func patchable(value []byte) bool {
	_, own := field(value, "_key")
	return !own && !bytes.Contains(value, []byte(`\ud`)) && !bytes.Contains(value, []byte(`\uD`))
}
