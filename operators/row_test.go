package operators

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
)

// TestRow writes random rows and reads them back; cut bytes are no row.
func TestRow(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	types := []engine.Type{engine.String, engine.Int, engine.Double, engine.Bool, engine.Timestamp, engine.Bytes, engine.Any}
	make2 := func() []engine.Column {
		cols := make([]engine.Column, len(types))
		for c, typ := range types {
			cols[c].Reset(typ, 2)
		}
		return cols
	}
	for range 2000 {
		from, to := make2(), make2()
		for c := range from {
			if rng.IntN(4) == 0 {
				from[c].SetNull(1, 2)
				continue
			}
			col := &from[c]
			switch col.Type {
			case engine.Int, engine.Timestamp:
				col.Ints[1] = int64(rng.Uint64()) >> rng.IntN(64)
			case engine.Double:
				col.Doubles[1] = rng.NormFloat64()
			case engine.Bool:
				col.Bools[1] = rng.IntN(2) == 0
			default:
				col.Strs[1] = string(make([]byte, rng.IntN(300)))
			}
		}
		b := appendRow(nil, from, 1)
		rest, ok := readRow(string(b)+"x", to, 1, 2)
		if !ok || rest != "x" {
			t.Fatalf("seed %d: read %v, rest %q", seed, ok, rest)
		}
		if again := appendRow(nil, to, 1); string(again) != string(b) {
			t.Fatalf("seed %d: %q comes back as %q", seed, b, again)
		}
		if _, ok := readRow(string(b[:rng.IntN(len(b))]), make2(), 1, 2); ok {
			t.Fatalf("seed %d: a cut row is read", seed)
		}
	}
}

// TestTimers pops in order, keeps one timer per key, and comes back after a
// rollback.
func TestTimers(t *testing.T) {
	var ts timers
	ts.set(30, "c")
	ts.set(10, "b")
	ts.set(10, "a")
	ts.set(20, "a") // there is an earlier one
	ts.set(5, "c")
	var got string
	take := func(limit int64) {
		got = ""
		for {
			_, key, ok := ts.next(limit)
			if !ok {
				return
			}
			got += key
		}
	}
	if take(9); got != "c" {
		t.Errorf("due at 9: %q", got)
	}
	ts.rolledBack()
	if take(10); got != "cab" {
		t.Errorf("due at 10 after a rollback: %q", got)
	}
	ts.committed()
	ts.rolledBack()
	if take(100); got != "" {
		t.Errorf("taken and committed, but due again: %q", got)
	}
}
