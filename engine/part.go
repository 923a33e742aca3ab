package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leatstream/leat/state"
)

// Part is something of a step that outlives the process: a store, or the rows
// between two sub-topologies. Two plans are compared part by part.
type Part struct {
	Step string `json:"step"`           // by which its state knows it
	Name string `json:"name,omitempty"` // what it is called now, where that is another
	Text string `json:"text"`           // what must stay the same for it to be used on
}

// Kinds of parts: what the names of Topology.Parts begin with.
const (
	partStore       = "store "       // then the store's name; the text is its fingerprint
	partRows        = "rows "        // then the step's identity: of what its state is made, and by which keys
	partRepartition = "repartition " // then the label: key and columns of rows on their way
)

// StorePart, RowsPart and RepartitionPart are names of parts.
func StorePart(name string) string { return partStore + name }

// RowsPart names what the state of a step is made of.
func RowsPart(step string) string { return partRows + step }

// RepartitionPart names a repartition by its label.
func RepartitionPart(label string) string { return partRepartition + label }

// PartTopic is the topic that a part is in; "": none.
func (t *Topology) PartTopic(name string) Topic {
	if store, ok := strings.CutPrefix(name, partStore); ok {
		return t.ChangelogTopic(store)
	}
	if label, ok := strings.CutPrefix(name, partRepartition); ok {
		return Topic(fmt.Sprintf("%s.%d.%s.repartition", t.Pipeline, t.Generation, label))
	}
	return ""
}

// What becomes of a part, in the order in which a step takes the worst of its
// parts.
const (
	Keep    = "keep"
	Create  = "create"  // not there yet: it begins empty, with the rows to come
	Migrate = "migrate" // used on, after something has been done to it at the start
	Orphan  = "orphan"  // belongs to no step of the file; nobody reads it
	Rebuild = "rebuild" // cannot be used on: a new generation computes it anew
)

// Change is what becomes of one part.
type Change struct {
	Step    string `json:"step"`
	Name    string `json:"name,omitempty"`
	Part    string `json:"part"` // store totals, repartition totals, rows totals
	Becomes string `json:"becomes"`
	Was     string `json:"was,omitempty"`
	Is      string `json:"is,omitempty"`
	Why     string `json:"why,omitempty"`
}

// Comparison is what a start would make of the plan in force.
type Comparison struct {
	Changes []Change
	Refused []string // why a worker would not start
	Moves   bool     // something changes: nobody else may run the pipeline meanwhile
	metas   []metaMove
}

// metaMove brings the meta record of a sub-topology's tasks to the changelog of
// its first store.
type metaMove struct {
	sub  *SubTopology
	from string // store whose changelog has it; "": there is none, the group's offsets make it
}

// compare says what becomes of the parts of the plan in force, which may be
// nil. It changes nothing.
func (p *Plan) compare(ctx context.Context, topo *Topology, c Cluster, force *Plan) (*Comparison, error) {
	r := &Comparison{}
	switch {
	case force == nil || force.Void || force.Generation != p.Generation:
		for _, name := range slices.Sorted(maps.Keys(p.Parts)) {
			r.add(p.Parts[name], name, Change{Becomes: Create})
		}
		return r, nil
	case force.Parts == nil:
		p.compareOld(r, force)
		return r, nil
	}
	for sub, n := range p.Tasks {
		if was, ok := force.Tasks[sub]; ok && was != n {
			r.refuse("source %q had %d partitions when its state was made and has %d now: keys have moved", sub, was, n)
		}
	}
	d := &differ{ctx: ctx, topo: topo, c: c, specs: map[string]state.Spec{}}
	for _, sub := range topo.Subs {
		for _, s := range sub.StoreSpecs() {
			d.specs[s.Name] = s
		}
	}
	all := maps.Clone(force.Parts)
	maps.Copy(all, p.Parts)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, had := force.Parts[name]
		is, has := p.Parts[name]
		ch := Change{Becomes: Keep}
		var err error
		switch {
		case !had:
			ch, err = d.created(name)
		case !has:
			ch, err = d.left(name)
		case was.Text != is.Text:
			ch, err = d.changed(name, was.Text, is.Text)
			ch.Was, ch.Is = was.Text, is.Text
		}
		if err != nil {
			return nil, err
		}
		r.add(all[name], name, ch)
		r.Moves = r.Moves || ch.Becomes != Keep || was.Text != is.Text
	}
	p.compareTasks(r, topo, force)
	var broken []string
	for _, ch := range r.Changes {
		if ch.Becomes == Rebuild && !slices.Contains(broken, ch.Step) {
			broken = append(broken, ch.Step)
		}
	}
	if len(broken) > 0 {
		r.refuse("the state of %s was made by another version of the pipeline", strings.Join(broken, ", "))
	}
	return r, nil
}

func (r *Comparison) add(part Part, name string, ch Change) {
	ch.Step, ch.Name, ch.Part = part.Step, part.Name, name
	r.Changes = append(r.Changes, ch)
}

func (r *Comparison) refuse(format string, args ...any) {
	r.Refused = append(r.Refused, fmt.Sprintf(format, args...)+WayOut)
}

// WayOut is what to do about state that does not fit.
const WayOut = ": leat run --rebuild computes all of it anew from the sources' start, another pipeline name runs beside it"

// compareOld compares with a plan that a version wrote which kept no parts.
func (p *Plan) compareOld(r *Comparison, force *Plan) {
	same := force.Fingerprint == p.Fingerprint
	for _, name := range slices.Sorted(maps.Keys(p.Parts)) {
		ch := Change{Becomes: Keep}
		if store, ok := strings.CutPrefix(name, partStore); ok && !same && force.Prints != nil {
			was, there := force.Prints[store]
			switch {
			case !there:
				ch.Becomes = Create
			case was != p.Prints[store]:
				ch = Change{Becomes: Rebuild, Was: was, Is: p.Prints[store]}
			}
		}
		r.add(p.Parts[name], name, ch)
	}
	if !same {
		r.refuse("the plan in force is an older version's, which tells only that something is another: windows, groups, aggregates or their types")
	}
}

// ErrOtherState marks a plan that cannot use the state that is there: what Reset
// is for.
var ErrOtherState = errors.New("the state that is there does not fit")

// differ judges parts.
type differ struct {
	ctx   context.Context
	topo  *Topology
	c     Cluster
	specs map[string]state.Spec
	group map[TopicPartition]Committed
}

// created judges a part that the plan in force has not: nothing of an earlier
// step of the same name may be there.
func (d *differ) created(name string) (Change, error) {
	ch := Change{Becomes: Create}
	if strings.HasPrefix(name, partStore) {
		ch.Why = "empty: it knows the rows that come from now on"
		topic := d.topo.PartTopic(name)
		n, err := d.count(topic, false, func(key, _ []byte) bool { return len(key) > 0 && key[0] == changelogRow })
		if n > 0 {
			ch.Becomes, ch.Why = Rebuild, fmt.Sprintf("%s has the state of an earlier step of this name, which missed rows since: delete the topic, or choose another name", topic)
		}
		return ch, err
	}
	if strings.HasPrefix(name, partRepartition) {
		n, err := d.onTheWay(name)
		if n > 0 {
			ch.Becomes, ch.Why = Rebuild, fmt.Sprintf("%s has %d rows of an earlier step of this name: delete the topic, or choose another name", d.topo.PartTopic(name), n)
		}
		return ch, err
	}
	return ch, nil
}

// left judges a part that the file has no more.
func (d *differ) left(name string) (Change, error) {
	ch := Change{Becomes: Orphan}
	if strings.HasPrefix(name, partStore) {
		ch.Why = fmt.Sprintf("its topic %s may be deleted; was: <old name> would keep it", d.topo.PartTopic(name))
	}
	if strings.HasPrefix(name, partRepartition) {
		n, err := d.onTheWay(name)
		ch.Why = fmt.Sprintf("its topic %s may be deleted", d.topo.PartTopic(name))
		if n > 0 {
			ch.Why += fmt.Sprintf("; %d rows in it will not be read", n)
		}
		return ch, err
	}
	return ch, nil
}

// changed judges a part whose text is another.
func (d *differ) changed(name, was, is string) (Change, error) {
	if store, ok := strings.CutPrefix(name, partStore); ok {
		if reads := d.specs[store].Reads; reads != nil && reads(was) {
			return Change{Becomes: Keep, Why: "the bytes mean the same"}, nil
		}
		return Change{Becomes: Rebuild, Why: "its bytes mean something else now"}, nil
	}
	if strings.HasPrefix(name, partRepartition) {
		n, err := d.onTheWay(name)
		if n > 0 {
			return Change{Becomes: Rebuild, Why: fmt.Sprintf("%d rows on their way have the old columns: with the old file, leat run --until-end reads them", n)}, err
		}
		return Change{Becomes: Migrate, Why: "no row is on its way: those to come have the new columns"}, err
	}
	return Change{Becomes: Rebuild, Why: "its state is of other rows, or by other keys"}, nil
}

// onTheWay counts the rows of a repartition topic that its reader has not read.
func (d *differ) onTheWay(name string) (int, error) {
	return d.count(d.topo.PartTopic(name), true, func(_, value []byte) bool { return len(value) > 0 && value[0] == repartitionRows })
}

// count counts the records of a topic that are so: of the group's all that it
// has not read, else whether there is one. A topic that is not there has none.
func (d *differ) count(topic Topic, unread bool, is func(key, value []byte) bool) (int, error) {
	infos, err := d.c.Topics(d.ctx, topic)
	if err != nil || !infos[topic].Exists {
		return 0, err
	}
	if d.group == nil {
		if d.group, err = d.c.GroupOffsets(d.ctx, d.topo.Group()); err != nil {
			return 0, err
		}
	}
	ends, err := d.c.EndOffsets(d.ctx, topic)
	if err != nil {
		return 0, err
	}
	n := 0
	for p := range ends {
		tp, from := TopicPartition{topic, p}, Offset(-1)
		if at, ok := d.group[tp]; ok && unread {
			from = at.Offset
		}
		if ends[p] == 0 || from >= ends[p] {
			continue
		}
		_, err := d.c.Read(d.ctx, tp, from, func(rows *Rows) error {
			for i := range rows.Len() {
				if is(rows.Keys[i], rows.Values[i]) {
					if n++; !unread {
						return errEnough
					}
				}
			}
			return nil
		})
		if n > 0 && !unread {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

var errEnough = errors.New("enough was read")
