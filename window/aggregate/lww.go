package aggregate

import "fmt"

const lwwDoc = "The last writer's x: that of the row with the greatest ts, of equal ones that of the greatest actor, of the same actor the greatest x; of the type of x, null of nothing. " +
	"Ts is a timestamp or an int (a logical clock). A row that comes again or in another order changes nothing. Rows where x, ts or actor is null are skipped."

func newLww(args []Type) (Aggregate, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("lww takes three arguments, x, ts and actor, not %d", len(args))
	}
	t, err := one("lww", args[:1])
	if err == nil {
		err = stamped("lww", args[1], args[2])
	}
	if err != nil {
		return nil, err
	}
	return lww{t}, nil
}

// stamped checks the types of a ts and an actor.
func stamped(name string, ts, actor Type) error {
	if ts != Timestamp && ts != Int {
		return fmt.Errorf("%s needs a timestamp or an int as its ts, not %s", name, ts)
	}
	return named(name, "actor", actor)
}

// lww keeps the raw values of actor and x in one blob.
//
//	│ 1 if there is one │ rank of ts │ reference: actor's length u32, actor, x │
type lww struct{ t Type }

func (lww) Words() int     { return 3 }
func (lww) Blobs() []int   { return blobAt2 }
func (l lww) Result() Type { return l.t }

// written is an actor and what it wrote, from a blob.
func written(b []byte) parts {
	n := 4 + le.Uint32(b)
	return parts{b[4:n], b[n:]}
}

func (l lww) Add(acc []uint64, args []Column, row int32, h Heap) error {
	x, ts, actor := &args[0], &args[1], &args[2]
	if x.Null(row) || ts.Null(row) || actor.Null(row) {
		return nil
	}
	var buf, bufActor [8]byte
	l.write(acc, rankInt(ts.Ints[row]), parts{raw(actor, row, &bufActor), raw(x, row, &buf)}, h)
	return nil
}

func (l lww) Merge(acc, from []uint64, h Heap) error {
	if from[0] != 0 {
		l.write(acc, from[1], written(h.Get(from[2])), h)
	}
	return nil
}

func (lww) write(acc []uint64, ts uint64, v parts, h Heap) {
	if acc[0] != 0 && (ts < acc[1] || ts == acc[1] && compareParts(v, written(h.Get(acc[2]))) <= 0) {
		return
	}
	var b []byte
	acc[0], acc[1] = 1, ts
	acc[2], b = edit(h, acc[2], 4+v.len())
	le.PutUint32(b, uint32(len(v.a)))
	copy(b[4+copy(b[4:], v.a):], v.b)
}

func (l lww) Append(acc []uint64, h Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	setRaw(out, row, l.t, written(h.Get(acc[2])).b)
}
