package operators

import (
	"errors"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// keyed is a store of one byte string per key, for verbs whose state is not
// panes: the rows of a table, sessions, the steps of a pattern. It is one pane
// of a state.Table that never ends, with one heap reference per key; undo,
// changelog and spilling come with that.
//
//	key ─▶ slot ─▶ [ ref ] ─▶ bytes       never empty: begin them with a version
type keyed struct {
	ctx   *engine.Context
	table *state.Table
	// family is which of the table's two the bytes are in: a verb may have two
	// stores in one table, and keys of the one never meet those of the other.
	family state.Family
	// end is the pane's: likewise, one key or few beside all others.
	end  int64
	key  [1]string
	slot [1]state.Slot
}

// keyedStore describes a keyed store. print is what makes old bytes readable.
func keyedStore(name, print string) state.Spec {
	s := state.Spec{Name: name, Fingerprint: print}
	s.Families[state.Panes] = state.FamilySpec{Words: 1, Blobs: []int{0}}
	return s
}

// withSecond adds a second store to the table of a keyed store's spec: the
// family state.Sent.
func withSecond(s state.Spec) state.Spec {
	s.Families[state.Sent] = state.FamilySpec{Words: 1, Blobs: []int{0}}
	return s
}

func newKeyed(ctx *engine.Context, table *state.Table) *keyed {
	return &keyed{ctx: ctx, table: table, end: engine.MaxTime}
}

// get gives the bytes of a key, nil where it has none. They are the store's
// own: valid until the key is put or removed. See hold.
func (k *keyed) get(key string) ([]byte, error) {
	slot, ok, err := k.table.Find(key)
	if err != nil || !ok {
		return nil, err
	}
	return k.read(slot), nil
}

func (k *keyed) read(slot state.Slot) []byte {
	p := k.table.Pane(k.family, k.end)
	if p == nil {
		return nil
	}
	acc := p.Read(slot)
	if acc == nil {
		return nil
	}
	return k.table.Get(acc[0])
}

// put sets the bytes of a key; they are copied and must not be empty.
func (k *keyed) put(key string, value []byte) error {
	k.key[0] = key
	if err := k.table.Resolve(k.key[:], oneRow, k.slot[:]); err != nil {
		return err
	}
	k.write(k.slot[0], value)
	return nil
}

// write sets the bytes of a slot that was resolved in this commit interval.
func (k *keyed) write(slot state.Slot, value []byte) {
	acc, _ := k.table.Open(k.family, k.end).Write(slot)
	acc[0] = k.table.Put(acc[0], value)
}

var oneRow = []int32{0}

// remove forgets a key.
func (k *keyed) remove(key string) error {
	slot, ok, err := k.table.Find(key)
	if err != nil || !ok {
		return err
	}
	k.clear(slot)
	return nil
}

// clear forgets the bytes of a slot.
func (k *keyed) clear(slot state.Slot) {
	if p := k.table.Pane(k.family, k.end); p != nil && p.Read(slot) != nil {
		p.Remove(slot)
	}
}

// each calls fn for all keys in order, until it fails. fn may put and remove keys
// that it was given. Both arguments are valid during the call only.
func (k *keyed) each(fn func(key string, value []byte) error) error {
	var failed error
	err := k.table.Scan(k.family, k.end-1, k.end, "", func(key string, acc func(int64) []uint64) bool {
		failed = fn(key, k.table.Get(acc(k.end)[0]))
		return failed == nil
	})
	return errors.Join(err, failed)
}

// hold copies bytes to where they live until the transaction has ended: for
// strings of rows that go downstream.
func (k *keyed) hold(b []byte) string {
	c := k.ctx.Arena(len(b))
	copy(c, b)
	return view(c)
}
