package state

import "testing"

func TestCommitRollbackChangesRestore(t *testing.T) {
	spec := Spec{Name: "s", Families: [2]FamilySpec{{Words: 3, Blobs: []int{1}}, {Words: 1}}}
	db := OpenMemory()
	l, _ := db.Lease("t", []Spec{spec})
	if _, err := db.Lease("t", nil); err == nil {
		t.Fatal("leased twice")
	}
	tb := l.Tables()[0]
	slots := make([]Slot, 3)
	tb.Resolve([]string{"a", "b", "a"}, []int32{0, 1, 2}, slots)
	if slots[0] != slots[2] || slots[0] == slots[1] {
		t.Fatal(slots)
	}
	w, fresh := tb.Open(Panes, 10).Write(slots[0])
	w[0], w[2] = 7, ^uint64(0)
	w[1] = tb.Put(w[1], []byte("hello"))
	if !fresh {
		t.Fatal("not fresh")
	}
	tb.Open(Sent, 20).Write(slots[0])
	l2, _ := db.Lease("u", []Spec{spec})
	u := l2.Tables()[0]
	n := 0
	tb.Changes(func(k, v []byte) error { n++; return u.Restore(k, v) })
	if n != 1 || u.Len() != 1 {
		t.Fatal(n, u.Len())
	}
	s, ok, _ := u.Find("a")
	if got := u.Pane(Panes, 10).Read(s); !ok || got[0] != 7 || got[2] != ^uint64(0) || string(u.Get(got[1])) != "hello" {
		t.Fatal(got)
	}
	l.Rollback()
	if tb.Len() != 0 || tb.Pane(Panes, 10) != nil {
		t.Fatal("not rolled back")
	}
	u.Expire(Panes, 10)
	u.Expire(Sent, 20)
	u.Changes(func(k, v []byte) error {
		if string(k) != "a" || v != nil {
			t.Fatal(k, v)
		}
		return nil
	})
	l2.Commit(nil, nil)
	if u.Len() != 0 || u.heap.cells != 0 {
		t.Fatal(u.heap.cells)
	}
}
