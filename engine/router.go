package engine

// Router makes records of a source out of values, as a producer would: the
// wire key from the source's key columns, the partition by murmur2 of it, the
// Kafka timestamp from the event time. leat pipe and leat test use it.
type Router struct {
	spec       *SourceSpec
	decoder    Decoder
	batch      Batch
	key        []int
	partitions int
	next       int // round robin, where there is no key
}

// NewRouter makes the router of a source into topics of so many partitions.
// The source's schema must hold its key columns (Topology.SourceSpecs).
func NewRouter(s *SourceSpec, partitions int) *Router {
	r := &Router{spec: s, decoder: s.NewDecoder(), partitions: partitions}
	r.batch.Schema = s.Schema
	r.batch.Cols = make([]Column, len(s.Schema.Fields))
	for _, k := range s.KeyColumns {
		if c := s.Schema.Lookup(k); c >= 0 {
			r.key = append(r.key, c)
		}
	}
	if len(r.key) < len(s.KeyColumns) {
		r.key = nil
	}
	return r
}

// Route makes one record per value; keys, where given, are used as they are. A
// value that does not decode goes to partition 0 and meets its error there.
func (r *Router) Route(keys, values [][]byte) []Record {
	n := len(values)
	recs := make([]Record, n)
	b := &r.batch
	src := &Rows{Topic: r.spec.Topics[0], Values: values, Keys: make([][]byte, n), Offsets: make([]int64, n), Times: make([]int64, n)}
	b.N, b.Src, b.Sel = n, src, b.Sel[:0]
	ok := make([]bool, n)
	if r.decoder.Decode(b, func(int32, error) error { return nil }) == nil {
		for _, i := range b.Sel {
			ok[i] = true
		}
	}
	for i := range recs {
		rec := &recs[i]
		*rec = Record{Topic: r.spec.Topics[0], Value: values[i]}
		if keys != nil {
			rec.Key = keys[i]
		}
		row := int32(i)
		if ok[i] {
			if e := r.spec.EventTime; e >= 0 && !b.Cols[e].Null(row) {
				rec.Time = b.Cols[e].Ints[i]
			}
			if rec.Key == nil && len(r.key) > 0 {
				if key, has := AppendKey(nil, b, r.key, row); has {
					rec.Key = key
				}
			}
		}
		switch {
		case rec.Key != nil:
			rec.Partition = PartitionOf(rec.Key, r.partitions)
		case ok[i]:
			rec.Partition = Partition(r.next % r.partitions)
			r.next++
		}
	}
	return recs
}

// SourceSpecs are the topology's own sources by name.
func (t *Topology) SourceSpecs() map[string]*SourceSpec {
	all := map[string]*SourceSpec{}
	for _, sub := range t.Subs {
		for _, s := range sub.Sources {
			if !s.Repartition {
				all[s.Name] = s
			}
		}
	}
	return all
}
