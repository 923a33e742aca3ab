package aggregate

const collectSetDoc = "The different values of x that are not null, at most `limit` of them, as a list in the order in which each first arrived; an empty list of nothing. " +
	"What comes beyond the limit is left out. 0 and -0 are one value, and so are all NaN (which JSON writes as null). Any is compared by its text."

func newCollectSet(args []Type, params []Value) (Aggregate, error) {
	t, err := one("collect_set", args)
	if err != nil {
		return nil, err
	}
	n, err := limit("collect_set", params)
	if err != nil {
		return nil, err
	}
	return collectSet{elem: t, limit: n}, nil
}

// collectSet is a dict of raw values.
type collectSet struct {
	elem  Type
	limit int
}

func (collectSet) Words() int   { return 2 }
func (collectSet) Blobs() []int { return blobsOfDict }
func (collectSet) Result() Type { return Any }
func (c collectSet) Elem() Type { return c.elem }

func (c collectSet) Add(acc []uint64, args []Column, row int32, h Heap) error {
	if x := &args[0]; !x.Null(row) {
		var buf [8]byte
		c.add(acc, parts{a: distinct(x, row, &buf)}, h)
	}
	return nil
}

func (c collectSet) add(acc []uint64, v parts, h Heap) {
	d, hash := dict{}, v.hash()
	if d.live(acc, h) < c.limit && d.find(acc, h, v, hash) == 0 {
		d.insert(acc, h, v, parts{}, hash)
	}
}

func (c collectSet) Merge(acc, from []uint64, h Heap) error {
	dict{}.each(from, h, func(_ int, r record) { c.add(acc, r.key(), h) })
	return nil
}

func (c collectSet) Append(acc []uint64, h Heap, out *Column, row int32) {
	dst := []byte{'['}
	dict{}.each(acc, h, func(_ int, r record) {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, c.elem, r.part(0))
	})
	out.setStr(row, string(append(dst, ']')))
}
