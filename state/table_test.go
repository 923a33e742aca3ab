package state

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func benchTable(b testing.TB, n int) (*Lease, *Table, []string, []Slot) {
	l, err := OpenMemory().Lease("p.1/0/0", []Spec{{Name: "s", Families: [2]FamilySpec{{Words: 4}}}})
	if err != nil {
		b.Fatal(err)
	}
	keys := make([]string, n)
	rows := make([]int32, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("sensor-%07d", i)
		rows[i] = int32(i)
	}
	t := l.Tables()[0]
	slots := make([]Slot, n)
	if err := t.Resolve(keys, rows, slots); err != nil {
		b.Fatal(err)
	}
	p := t.Open(Panes, math.MaxInt64)
	for _, s := range slots {
		p.Write(s)
	}
	if err := l.Commit(nil, nil); err != nil {
		b.Fatal(err)
	}
	return l, t, keys, slots
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	l, tb, keys, slots := benchTable(t, 1000)
	rows := make([]int32, len(keys))
	for i := range rows {
		rows[i] = int32(i)
	}
	p := tb.Pane(Panes, math.MaxInt64)
	turn := func() {
		if err := tb.Resolve(keys, rows, slots); err != nil {
			t.Fatal(err)
		}
		for _, s := range slots {
			acc, _ := p.Write(s)
			acc[0]++
		}
		if err := l.Commit(nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	turn()
	if n := testing.AllocsPerRun(10, turn); n != 0 {
		t.Errorf("%v allocations per batch, want 0", n)
	}
}

func BenchmarkResolveWrite(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, t, keys, _ := benchTable(b, n)
			p := t.Pane(Panes, math.MaxInt64)
			rng := rand.New(rand.NewPCG(1, 2))
			const batch = 1024
			bkeys, rows, slots := make([]string, batch), make([]int32, batch), make([]Slot, batch)
			for i := range rows {
				rows[i] = int32(i)
			}
			// Keys lie one after the other, as in a fetch.
			var text strings.Builder
			order := make([]string, 1<<20)
			for range order {
				text.WriteString(keys[rng.IntN(n)])
			}
			all := text.String()
			for i := range order {
				order[i] = all[i*len(keys[0]) : (i+1)*len(keys[0])]
			}
			b.ReportAllocs()
			b.ResetTimer()
			defer cpuPerOp(b)()
			for i := 0; i < b.N; i += batch {
				copy(bkeys, order[i%len(order):])
				if err := t.Resolve(bkeys, rows, slots); err != nil {
					b.Fatal(err)
				}
				p.Touch(rows, slots)
				for _, s := range slots {
					acc, _ := p.Write(s)
					acc[0]++
				}
				if i/batch%200 == 199 {
					l.Commit(nil, nil)
				}
			}
		})
	}
}

// cpuPerOp reports CPU time, which a busy machine blurs less than the clock.
func cpuPerOp(b *testing.B) func() {
	cpu := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	from := cpu()
	return func() { b.ReportMetric(float64(cpu()-from)/float64(b.N), "cpu-ns/op") }
}

func BenchmarkWrite(b *testing.B) {
	_, t, _, slots := benchTable(b, 10_000)
	p := t.Pane(Panes, math.MaxInt64)
	n := 0
	defer cpuPerOp(b)()
	for b.Loop() {
		acc, _ := p.Write(slots[n])
		acc[0]++
		if n++; n == len(slots) {
			n = 0
		}
	}
}

// BenchmarkDisk gives nanoseconds per key of one pane: changes to a changelog,
// restore of it, apply to Pebble, and load from there.
func BenchmarkDisk(b *testing.B) {
	const n = 200_000
	spec := []Spec{{Name: "s", Families: [2]FamilySpec{{Words: 4}}}}
	db, err := Open("state", Options{FS: vfs.NewMem()})
	must(b, err)
	defer db.Close()
	_, from, _, _ := benchTable(b, n)
	p := from.Pane(Panes, math.MaxInt64)
	rng := rand.New(rand.NewPCG(1, 2))
	p.eachActive(func(s Slot, _ *uint64) {
		acc, _ := p.Write(s)
		acc[0], acc[1] = rng.Uint64N(1000), math.Float64bits(float64(rng.IntN(1000))/10)
	})
	var keys, values [][]byte
	per := func(name string, do func()) {
		b.Run(name, func(b *testing.B) {
			done := cpuPerOp(b)
			for range b.N {
				do()
			}
			done()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
		})
	}
	per("changes", func() {
		keys, values = keys[:0], values[:0]
		must(b, from.Changes(func(k, v []byte) error {
			keys, values = append(keys, k), append(values, bytes.Clone(v))
			return nil
		}))
	})
	l, err := db.Lease("t", spec)
	must(b, err)
	off := int64(0)
	per("restore", func() {
		for i, k := range keys {
			must(b, l.Tables()[0].Restore(k, values[i]))
		}
		off++
		must(b, l.Commit(at(off), nil))
	})
	per("apply", func() {
		must(b, l.Tables()[0].Restore(keys[0], values[0]))
		off++
		must(b, l.Commit(at(off), nil))
		must(b, l.Apply())
	})
	l.Abandon()
	per("load", func() {
		l, err := db.Lease("t", spec)
		must(b, err)
		if l.Tables()[0].Len() != n {
			b.Fatal("not loaded")
		}
		l.Abandon()
	})
}
