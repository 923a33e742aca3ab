package random

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/leatstream/leat/bench/random/naive"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// Output is what leat committed.
type Output struct {
	Sinks map[string][]Written
	Dead  map[string]int // per step and stage
}

// Written is one record of a sink, in order of commits per partition.
type Written struct {
	Key, Value []byte
	Time       int64
	Partition  int
}

// driver runs a topology; engine.Driver and unruly are.
type driver interface {
	Feed(engine.Record)
	Run() error
	Restart() error
	AdvanceClock(ms int64) error
	Close() error
}

// clock is the driver's: later than all rows.
const clock = 1 << 42

// Load reads and builds a case's pipeline.
func Load(c *Case) (*engine.Topology, error) {
	set, diags := pipelines.LoadBytes("p.yaml", []byte(YAML(c.Spec)), nil)
	if diags.Errors() > 0 {
		var b strings.Builder
		_ = diags.Write(&b, false)
		return nil, fmt.Errorf("load: %s", b.String())
	}
	return pipelines.Build(set.Pipelines[0], pipelines.Options{})
}

// Leat runs a case one way.
func Leat(c *Case, w Way, want *naive.Result) (out *Output, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, stack())
		}
	}()
	topo, err := Load(c)
	if err != nil {
		return nil, err
	}
	chains := watch(topo, want)
	out = &Output{Sinks: map[string][]Written{}, Dead: map[string]int{}}
	d, err := open(topo, c, w, out)
	if err != nil {
		return nil, err
	}
	if err := feed(c, w, d); err != nil {
		return nil, err
	}
	if err := rest(c, w, d); err != nil {
		return nil, fmt.Errorf("silence: %w", err)
	}
	before := out.counts()
	if err := d.Close(); err != nil {
		return nil, fmt.Errorf("close: %w", err)
	}
	if c.silent() {
		for name, n := range out.counts() {
			if n > before[name] {
				return nil, fmt.Errorf("sink %s: %d records come at the end of input, and not when all was silent", name, n-before[name])
			}
		}
	}
	if w.Again {
		if err := d.Restart(); err != nil {
			return nil, fmt.Errorf("restart at the end: %w", err)
		}
		if err := d.Close(); err != nil {
			return nil, fmt.Errorf("close again: %w", err)
		}
	}
	return out, chains.err
}

func open(topo *engine.Topology, c *Case, w Way, out *Output) (driver, error) {
	result := func(topic engine.Topic, r engine.Record) {
		if topic == deadLetters {
			out.Dead[header(r, "leat.error.transform")+"/"+header(r, "leat.error.stage")]++
			return
		}
		out.Sinks[string(topic)] = append(out.Sinks[string(topic)], Written{bytes.Clone(r.Key), bytes.Clone(r.Value), r.Time, int(r.Partition)})
	}
	if w.Unruly != 0 {
		return newUnruly(topo, w.Unruly, c.Partitions, w.Batch, clock, result)
	}
	return engine.NewDriver(topo, engine.DriverOptions{Partitions: c.Partitions, Now: clock, Batch: w.Batch, Restarts: true, Result: result})
}

// counts tells how many records each sink has.
func (o *Output) counts() map[string]int {
	n := map[string]int{}
	for name, records := range o.Sinks {
		n[name] = len(records)
	}
	return n
}

func header(r engine.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			// What a key needs is computed before rows move, under a name of its own.
			return strings.TrimSuffix(string(h.Value), ".key")
		}
	}
	return ""
}

// feed writes the records in parts, with a restart between them.
func feed(c *Case, w Way, d driver) error {
	for part := range w.Chunks {
		for _, s := range c.Spec.Sources {
			all := c.Records[s.Name]
			for _, r := range all[len(all)*part/w.Chunks : len(all)*(part+1)/w.Chunks] {
				rec := engine.Record{Topic: engine.Topic(s.Name), Partition: engine.Partition(r.Part), Value: valueJSON(r), Time: r.Time}
				if r.Key != nil {
					rec.Key = []byte(*r.Key)
				}
				if r.Lull > 0 {
					if err := lull(r.Lull, w, d); err != nil {
						return fmt.Errorf("silence: %w", err)
					}
				}
				d.Feed(rec)
			}
		}
		if err := d.Run(); err != nil {
			return err
		}
		if part+1 < w.Chunks {
			if err := d.Restart(); err != nil {
				return fmt.Errorf("restart: %w", err)
			}
		}
	}
	return nil
}

// lull lets time pass between two rows.
func lull(ms int64, w Way, d driver) error {
	if err := d.Run(); err != nil {
		return err
	}
	if w.Before {
		if err := d.Restart(); err != nil {
			return err
		}
	}
	if err := d.AdvanceClock(ms); err != nil {
		return err
	}
	if w.After {
		return d.Restart()
	}
	return nil
}

// rest lets time pass behind the last row: what waits for time comes out.
func rest(c *Case, w Way, d driver) error {
	if c.Spec.Rest == 0 {
		return nil
	}
	if w.Nap > 0 {
		if err := d.AdvanceClock(w.Nap); err != nil {
			return err
		}
		if err := d.Restart(); err != nil {
			return err
		}
	}
	return d.AdvanceClock(c.Spec.Rest)
}

// chains sees to it that each change of a table carries the row before.
type chains struct{ err error }

// watch puts a probe before each sink of a table.
func watch(topo *engine.Topology, want *naive.Result) *chains {
	c := new(chains)
	for _, sub := range topo.Subs {
		for _, n := range sub.Nodes {
			expected := want.Sinks[n.Name]
			if expected == nil || !expected.Table || expected.Keys == nil || !strings.HasPrefix(n.Kind, "sink:") {
				continue
			}
			opened, rows := n.New, map[int]map[string]string{}
			n.New = func(ctx *engine.Context) (engine.Operator, error) {
				op, err := opened(ctx)
				if rows[ctx.Task] == nil {
					rows[ctx.Task] = map[string]string{}
				}
				return &probe{Operator: op, chains: c, sink: n.Name, keys: expected.Keys, committed: rows[ctx.Task], pending: map[string]*string{}}, err
			}
		}
	}
	return c
}

// probe stands before a sink and remembers what was sent.
type probe struct {
	engine.Operator
	chains    *chains
	sink      string
	keys      []string
	committed map[string]string
	pending   map[string]*string // nil: deleted
}

// Process checks each change against the row before.
func (p *probe) Process(b *engine.Batch, out engine.Emit) error {
	for _, i := range b.Sel {
		op := engine.Insert
		if b.Op != nil {
			op = b.Op[i]
		}
		cols := b.Cols
		if op == engine.Delete {
			cols = b.Old
		}
		key := p.text(b, cols, i, p.keys)
		before, there := p.committed[key]
		if v, changed := p.pending[key]; changed {
			if there = v != nil; there {
				before = *v
			}
		}
		all := b.Schema.Names()
		switch {
		case op == engine.Insert && there:
			p.fail("a row is inserted at %s where %s is", key, before)
		case op != engine.Insert && !there:
			p.fail("the row at %s is changed (%d), and there was none", key, op)
		case op != engine.Insert && p.text(b, b.Old, i, all) != before:
			p.fail("a change at %s says that the row was %s, and it was %s", key, p.text(b, b.Old, i, all), before)
		}
		p.pending[key] = nil
		if op != engine.Delete {
			now := p.text(b, b.Cols, i, all)
			p.pending[key] = &now
		}
	}
	return p.Operator.Process(b, out)
}

func (p *probe) fail(format string, args ...any) {
	if p.chains.err == nil {
		p.chains.err = fmt.Errorf("sink "+p.sink+": "+format, args...)
	}
}

func (p *probe) text(b *engine.Batch, cols []engine.Column, i int32, names []string) string {
	out := []byte{'{'}
	for _, name := range names {
		out = append(append(append(out, ' '), name...), ':')
		out = engine.AppendJSON(out, &cols[b.Schema.Lookup(name)], i, engine.ValueStyle{})
	}
	return string(append(out, '}'))
}

// Committed makes what was sent what is known.
func (p *probe) Committed() {
	for k, v := range p.pending {
		if v == nil {
			delete(p.committed, k)
		} else {
			p.committed[k] = *v
		}
	}
	clear(p.pending)
}

// RolledBack forgets what was not committed.
func (p *probe) RolledBack() { clear(p.pending) }

// decode reads a sink's value into the types that are expected of it.
func decode(value []byte, cols []naive.Col) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("value %q: %w", value, err)
	}
	var names []string
	for _, c := range cols {
		names = append(names, c.Name)
		// Columns of the other side, r.x and r.y, are written as an object r.
		if side, name, dotted := strings.Cut(c.Name, "."); dotted {
			if of, ok := v[side].(map[string]any); ok {
				if x, there := of[name]; there {
					v[c.Name] = x
				}
				if delete(of, name); len(of) == 0 {
					delete(v, side)
				}
			}
		}
	}
	var got []string
	for k := range v {
		got = append(got, k)
	}
	sort.Strings(got)
	if sort.Strings(names); !slices.Equal(names, got) {
		return nil, fmt.Errorf("columns are %v, not %v", got, names)
	}
	return v, nil
}
