package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat/state"
)

// ErrOffsetOutOfRange is what ChangelogReader answers for a position before the
// log's start or beyond its end: the state is rebuilt from the log alone.
var ErrOffsetOutOfRange = errors.New("offset out of range")

// ChangelogReader reads [from, high watermark) of a changelog partition, read
// committed; from -1 is the log's start. It returns the position reached.
type ChangelogReader func(ctx context.Context, tp TopicPartition, from Offset, fn func(*Rows) error) (Offset, error)

// Recoverer is an operator that has something to do when its tables have been
// restored: drop what had expired, rebuild what is derived from them.
type Recoverer interface{ Recovered() error }

// Recovery is what restoring a task found.
type Recovery struct {
	Kind    string // tail: from Pebble and the changelog's tail; full: from the changelog alone; none: nothing was there
	Records int64
	meta    *taskMeta
}

// Recover brings a task's tables to the end of their changelogs: from what
// Pebble has and the tail, or, where Pebble has nothing or something that does
// not fit, from the changelog alone. It runs in the restore pool, before the
// task is opened, and is the lease's only user meanwhile.
func Recover(ctx context.Context, topo *Topology, sub *SubTopology, p Partition, lease *state.Lease, read ChangelogReader, progress func(records int64)) (Recovery, error) {
	from, meta, _ := lease.Loaded()
	r, err := recoverFrom(ctx, topo, sub, p, lease, from, meta, read, progress)
	if errors.Is(err, ErrOffsetOutOfRange) || errors.Is(err, state.ErrCorrupt) {
		if err := lease.Wipe(); err != nil {
			return r, err
		}
		r, err = recoverFrom(ctx, topo, sub, p, lease, nil, nil, read, progress)
	}
	return r, err
}

// recoverFrom reads the changelogs from the positions that the tables are at.
func recoverFrom(ctx context.Context, topo *Topology, sub *SubTopology, p Partition, lease *state.Lease, from map[string]state.Position, metaBytes []byte, read ChangelogReader, progress func(records int64)) (Recovery, error) {
	var r Recovery
	if len(metaBytes) > 0 {
		m, err := decodeTaskMeta(metaBytes)
		if err != nil {
			return r, fmt.Errorf("%w: %w", state.ErrCorrupt, err)
		}
		r.meta, r.Kind = m, "tail"
	} else {
		r.Kind = "full"
	}
	pos := map[string]state.Position{}
	first := r.meta != nil // the first store's changelog had a meta record
	for n, spec := range sub.StoreSpecs() {
		table := lease.Tables()[n]
		tp := TopicPartition{topo.ChangelogTopic(spec.Name), p}
		start := Offset(-1)
		if at, ok := from[spec.Name]; ok && at.Offset >= 0 {
			start = Offset(at.Offset)
		}
		end, err := read(ctx, tp, start, func(rows *Rows) error {
			for i := range rows.Len() {
				key, value := rows.Keys[i], rows.Values[i]
				if len(key) == 0 {
					return fmt.Errorf("restore %q: a changelog record without key at %s/%d@%d", spec.Name, tp.Topic, tp.Partition, rows.Offsets[i])
				}
				r.Records++
				if key[0] == changelogMeta {
					if n > 0 && first {
						continue // from when this store was the first
					}
					m, err := decodeTaskMeta(value)
					if err != nil {
						return fmt.Errorf("restore %q: %w", spec.Name, err)
					}
					r.meta, first = m, n == 0
					continue
				}
				if err := table.Restore(slices.Clone(key[1:]), value); err != nil {
					return fmt.Errorf("restore %q from %s/%d@%d: %w", spec.Name, tp.Topic, tp.Partition, rows.Offsets[i], err)
				}
			}
			if progress != nil {
				progress(int64(rows.Len()))
			}
			return nil
		})
		if err != nil {
			return r, err
		}
		pos[spec.Name] = state.Position{Offset: int64(end), Epoch: -1}
	}
	if r.meta == nil {
		r.Kind = "none"
		if r.Records > 0 {
			return r, nil
		}
		return r, lease.Commit(pos, nil)
	}
	return r, lease.Commit(pos, r.meta.encode())
}

// StateOffsets are the input offsets that produced a recovered state; ok is
// false where there is none.
func (r Recovery) StateOffsets() (map[TopicPartition]Offset, bool) {
	if r.meta == nil {
		return nil, false
	}
	m := map[TopicPartition]Offset{}
	for _, in := range r.meta.Inputs {
		m[TopicPartition{in.Topic, in.Partition}] = in.Offset
	}
	return m, true
}

// Recovered gives an opened task the time and cursors that its state carries.
func (t *Task) Recovered(r Recovery, now int64) error {
	if r.meta != nil {
		for _, m := range r.meta.Inputs {
			f := t.feed(TopicPartition{m.Topic, m.Partition})
			if f == nil {
				continue
			}
			f.seek(m.Offset)
			f.first = max(f.first, m.First)
			for _, in := range f.inputs {
				if m.Source != "" && m.Source != in.spec.Name && len(f.inputs) > 1 {
					continue
				}
				in.take(m.Watermark, m.Greatest, now)
				if in.vector != nil {
					in.setVector(m.Vector)
				}
			}
		}
		for _, n := range t.nodes {
			if op, ok := n.op.(Rememberer); ok {
				if b, ok := r.meta.Nodes[n.spec.id()]; ok {
					if err := op.Recall(b); err != nil {
						return E(Corrupt, fmt.Sprintf("restore %q", n.spec.Name), err)
					}
				}
			}
		}
	}
	for _, n := range t.nodes {
		if op, ok := n.op.(Recoverer); ok {
			if err := op.Recovered(); err != nil {
				return E(Corrupt, fmt.Sprintf("restore %q", n.spec.Name), err)
			}
		}
	}
	t.snapshot()
	return nil
}
