package window

import (
	"flag"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of random tests")

func random(t *testing.T) *rand.Rand {
	t.Logf("replay: go test ./window -run '^%s$' -seed %d", t.Name(), *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// TestWindowsAgainstEnumeration: of all windows there are, those that hold t.
func TestWindowsAgainstEnumeration(t *testing.T) {
	r := random(t)
	for range 3000 {
		s := randomSpec(r)
		a, err := New(s)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		// A time near a boundary of one of the grids, or anywhere.
		at := r.Int64N(400) - 200
		switch r.IntN(3) {
		case 0:
			at = a.EndsAfter(at) + r.Int64N(3) - 1
		case 1:
			at = a.PaneEnd(at) + r.Int64N(3) - 1
		}
		var want []int64
		for k := int64(-1000); k <= 1000; k++ {
			if start := s.Offset + k*a.NextEnd(0); start <= at && at < start+s.Size {
				want = append(want, start+s.Size)
			}
		}
		if got := slices.Collect(Ends(a, at)); !slices.Equal(got, want) {
			t.Fatalf("%+v: %d is in windows to %v, want %v", s, at, got, want)
		}
		// The row's pane is one of the panes of exactly these windows.
		pane := a.PaneEnd(at)
		if at >= pane || at < pane-a.PaneWidth() {
			t.Fatalf("%+v: %d is not in its pane to %d", s, at, pane)
		}
		for end := want[0] - 3*a.NextEnd(0); end <= want[len(want)-1]+3*a.NextEnd(0); end = a.NextEnd(end) {
			in := slices.Contains(slices.Collect(Panes(a, end)), pane)
			if in != slices.Contains(want, end) {
				t.Fatalf("%+v: %d: pane to %d in window to %d: %v", s, at, pane, end, in)
			}
		}
		for end := range Ends(a, at) {
			if first := a.Start(end) + a.PaneWidth(); first != a.PaneEnd(a.Start(end)) {
				t.Fatalf("%+v: window to %d starts inside a pane", s, end)
			}
		}
	}
}

func randomSpec(r *rand.Rand) Spec {
	s := Spec{Kind: "hopping", Size: 1 + r.Int64N(60)}
	if r.IntN(3) == 0 {
		s.Kind = "tumbling"
		s.Offset = r.Int64N(s.Size)
		return s
	}
	s.Advance = 1 + r.Int64N(s.Size)
	s.Offset = r.Int64N(s.Advance)
	return s
}

// TestEndsOfTime: whatever the time, no arithmetic wraps.
func TestEndsOfTime(t *testing.T) {
	r := random(t)
	for range 3000 {
		s := Spec{Kind: "hopping", Size: 1 + r.Int64N(1<<r.IntN(50))}
		s.Advance = 1 + r.Int64N(s.Size)
		s.Offset = r.Int64N(s.Advance)
		a, err := New(s)
		if err != nil {
			t.Fatal(err)
		}
		at := int64(r.Uint64()) // anywhere
		switch near := r.Int64N(1 << r.IntN(52)); r.IntN(3) {
		case 0:
			at = MaxTime - near
		case 1:
			at = MinTime + near
		}
		check := func(name string, got int64, want *big.Int) {
			t.Helper()
			if w := clamp(want); got != w {
				t.Fatalf("%+v: %s(%d) = %d, want %d", s, name, at, got, w)
			}
		}
		check("LastEnd", a.LastEnd(at), add(lastOf(at, s.Advance, s.Offset), s.Size))
		check("EndsAfter", a.EndsAfter(at), add(lastOf(at, s.Advance, s.Offset+s.Size), s.Advance))
		check("FirstEnd", a.FirstEnd(at), add(lastOf(at, s.Advance, s.Offset+s.Size), s.Advance))
		check("PaneEnd", a.PaneEnd(at), add(lastOf(at, a.PaneWidth(), s.Offset), a.PaneWidth()))
		check("NextEnd", a.NextEnd(at), add(big.NewInt(at), s.Advance))
		check("Start", a.Start(at), add(big.NewInt(at), -s.Size))
		if at != MaxTime { // the end of input stays it
			check("Behind", Behind(at, s.Size), add(big.NewInt(at), -s.Size))
		}
	}
}

// lastOf is the last of {phase + k·step} at or before t, in exact arithmetic.
func lastOf(t, step, phase int64) *big.Int {
	k := add(big.NewInt(t), -phase)
	k.Div(k, big.NewInt(step)) // Euclidean: floors for a positive divisor
	return add(k.Mul(k, big.NewInt(step)), phase)
}

func add(a *big.Int, b int64) *big.Int { return new(big.Int).Add(a, big.NewInt(b)) }

func clamp(v *big.Int) int64 {
	switch {
	case v.IsInt64():
		return v.Int64()
	case v.Sign() > 0:
		return MaxTime
	}
	return MinTime
}

// TestVectorAgainstHistory: the value never goes back, never passes an active
// entry that has always been heard and busy, and survives its encoding.
func TestVectorAgainstHistory(t *testing.T) {
	r := random(t)
	for range 300 {
		n := 1 + r.IntN(5)
		v := NewVector(n)
		best := make([]int64, n)
		idleEver := make([]bool, n)
		for i := range best {
			best[i] = MinTime
		}
		last := MinTime
		for range 60 {
			i, w, idle := r.IntN(n), r.Int64N(1000), r.IntN(6) == 0
			if err := v.Stamp(i, n, w, idle, None); err != nil {
				t.Fatal(err)
			}
			best[i] = max(best[i], w)
			idleEver[i] = idleEver[i] || idle
			got := v.Value()
			if got < last {
				t.Fatalf("went back from %d to %d", last, got)
			}
			last = got
			if !slices.Contains(idleEver, true) && got != slices.Min(best) {
				t.Fatalf("nothing was ever idle: %d, want the minimum of %v", got, best)
			}
			for i := range best {
				if !idleEver[i] && got > best[i] {
					t.Fatalf("%d passed entry %d of %v", got, i, best)
				}
			}
			if r.IntN(4) == 0 {
				decoded, rest, err := DecodeVector(v.Append(nil))
				if err != nil || len(rest) > 0 {
					t.Fatal(rest, err)
				}
				v = decoded
			}
		}
	}
}

// TestVectorGrowsUnread: growth keeps a minimum that nobody had asked for.
func TestVectorGrowsUnread(t *testing.T) {
	v := NewVector(1)
	for _, n := range []int{1, 3} {
		if err := v.Stamp(0, n, 10, false, None); err != nil {
			t.Fatal(err)
		}
	}
	if v.Value() != 10 {
		t.Fatalf("fell back to %d", v.Value())
	}
}

// FuzzDecodeVector: broken bytes are an error, and what decodes encodes to
// something that decodes to the same.
func FuzzDecodeVector(f *testing.F) {
	v := NewVector(3)
	_ = v.Stamp(1, 3, 1_767_225_600_000, true, Held)
	f.Add(v.Append(nil))
	f.Add([]byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, _, err := DecodeVector(b)
		if err != nil {
			return
		}
		again, rest, err := DecodeVector(v.Append(nil))
		if err != nil || len(rest) > 0 {
			t.Fatalf("rest %x, %v", rest, err)
		}
		if again.last != v.last || !slices.Equal(again.entries, v.entries) {
			t.Fatalf("%+v is not %+v", again, v)
		}
	})
}

// TestKinds walks the table: sorted, documented, findable.
func TestKinds(t *testing.T) {
	for i, k := range Kinds() {
		if i > 0 && Kinds()[i-1].Name >= k.Name {
			t.Errorf("%q is not in order", k.Name)
		}
		if k.Doc == "" || k.check == nil {
			t.Errorf("%q is not complete", k.Name)
		}
		if _, ok := Lookup(k.Name); !ok {
			t.Errorf("%q is not found", k.Name)
		}
	}
	if _, ok := Lookup("Tumbling"); ok {
		t.Error("names are exact")
	}
}

var sink int64

func BenchmarkPaneEnd(b *testing.B) {
	a, _ := New(Spec{Kind: "hopping", Size: 60_000, Advance: 10_000})
	h := a.(*Hopping)
	for i := range int64(b.N) {
		sink += h.PaneEnd(1_767_225_600_000 + i)
	}
}
