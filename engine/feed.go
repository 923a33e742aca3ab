package engine

// feed is one partition a task reads: once, for all the sources that read its
// topic, and with one committed offset.
type feed struct {
	tp       TopicPartition
	inputs   []*input // of the sources that read it, in their order; mostly one
	position Offset   // first unprocessed row; -1: not known yet
	saved    Offset   // position at the last commit
}

// addInput makes source s a reader of a partition.
func (t *Task) addInput(s *SourceSpec, mark int, tp TopicPartition) {
	f := t.feed(tp)
	if f == nil {
		f = &feed{tp: tp, position: -1, saved: -1}
		t.feeds = append(t.feeds, f)
	}
	in := newInput(s, mark, f)
	f.inputs = append(f.inputs, in)
	t.inputs = append(t.inputs, in)
}

func (t *Task) feed(tp TopicPartition) *feed {
	for _, f := range t.feeds {
		if f.tp == tp {
			return f
		}
	}
	return nil
}

// meta is the metadata of the feed's committed offset.
func (f *feed) meta(env TaskEnv, commit int64) OffsetMeta {
	first := f.inputs[0]
	m := OffsetMeta{Lane: env.Lane, Commit: commit, Txn: env.Txn, Watermark: first.water.Value(), Idle: first.idle}
	if first.vector != nil {
		m.Vector = encodeVector(first.vector.Append(nil))
	}
	for _, in := range f.inputs[1:] {
		if m.Others == nil {
			m.Others = map[string]int64{}
		}
		m.Others[in.spec.Name] = in.water.Value()
	}
	return m
}
