package engine

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat/window"
)

// node is one operator of a task with its place in the graph.
//
//	source ──┬─▶ node ──0──▶ node       outs[0]: what the operator emits
//	         └─▶  …   ──1──▶ node       outs[k]: what it sends by Context.Side(k, …)
type node struct {
	spec     *NodeSpec
	op       Operator
	ctx      *Context
	emit     Emit
	outs     [][]edge
	clockIns []int             // the inputs that its time comes from: those that are not timeless, or all
	timeless bool              // fed by timeless sources only
	clock    []bool            // by source: whether its time comes from there
	from     []bool            // by source: whether its rows come from there
	hold     []int64           // by source: how long a row is held on its way through here, ms (NodeSpec.Hold)
	in, down int64             // watermarks in and out
	reach    func(what string) // TaskEnv.Reach; nil: nobody asks
}

// edge is one input of a node: where batches go, and as what.
type edge struct {
	to     *node
	ported Ported // nil: the operator does not tell its inputs apart
	port   int    // position in to.spec.Inputs
}

// addNode opens an operator's place in the graph behind what is there.
func (t *Task) addNode(spec *NodeSpec) (*node, error) {
	n := &node{spec: spec, in: MinTime, down: MinTime, clock: make([]bool, len(t.sub.Sources)), from: make([]bool, len(t.sub.Sources)), hold: make([]int64, len(t.sub.Sources))}
	if spec.Ports != nil && len(spec.Ports) != len(spec.Inputs) {
		return nil, E(Fatal, fmt.Sprintf("open %s %q", spec.Kind, spec.Name), fmt.Errorf("%d ports for %d inputs", len(spec.Ports), len(spec.Inputs)))
	}
	n.timeless = true
	for _, in := range spec.Inputs {
		n.timeless = n.timeless && t.timeless(in)
	}
	for _, in := range spec.Inputs {
		counts := n.timeless || !t.timeless(in)
		if counts {
			n.clockIns = append(n.clockIns, in)
		}
		if in < 0 {
			n.from[^in] = true
			n.clock[^in] = n.clock[^in] || counts
			continue
		}
		for s := range n.from {
			n.from[s] = n.from[s] || t.nodes[in].from[s]
			n.clock[s] = n.clock[s] || counts && t.nodes[in].clock[s]
			n.hold[s] = max(n.hold[s], t.nodes[in].hold[s])
		}
	}
	for s := range n.hold {
		n.hold[s] += spec.Hold.Milliseconds()
	}
	n.emit = func(b *Batch) error { return n.send(0, b) }
	return n, nil
}

// timeless tells whether input in of a node (NodeSpec.Inputs) holds no time.
func (t *Task) timeless(in int) bool {
	if in < 0 {
		return t.sub.Sources[^in].Timeless
	}
	return t.nodes[in].timeless
}

// keepsTime tells whether a source counts for the task's time: tables do only
// where there is nothing else.
func (t *Task) keepsTime(source int) bool {
	return !t.sub.Sources[source].Timeless || !slices.ContainsFunc(t.sub.Sources, func(s *SourceSpec) bool { return !s.Timeless })
}

// time is the watermark of the task's sources as people see it: the least of
// those that are not idle, or of all.
func (t *Task) time() (w int64, idle bool) {
	live, all := MaxTime, MaxTime
	idle = true
	for _, in := range t.inputs {
		if !t.keepsTime(in.mark) {
			continue
		}
		all = min(all, t.marks[in.mark])
		if !in.isIdle() {
			live, idle = min(live, t.marks[in.mark]), false
		}
	}
	if idle {
		return all, true
	}
	return live, false
}

// connect makes the node the reader of its inputs.
func (t *Task) connect(n *node) error {
	ported, _ := n.op.(Ported)
	for k, in := range n.spec.Inputs {
		port := 0
		if n.spec.Ports != nil {
			port = n.spec.Ports[k]
		}
		e := edge{to: n, ported: ported, port: k}
		if in >= 0 {
			up := t.nodes[in]
			for len(up.outs) <= port {
				up.outs = append(up.outs, nil)
			}
			up.outs[port] = append(up.outs[port], e)
			continue
		}
		if port != 0 {
			return E(Fatal, fmt.Sprintf("open %s %q", n.spec.Kind, n.spec.Name), fmt.Errorf("source %q has no output %d", t.sub.Sources[^in].Name, port))
		}
		for _, i := range t.inputs {
			if i.mark == ^in {
				i.children = append(i.children, e)
			}
		}
	}
	return nil
}

// send hands a batch to the readers of one of the node's outputs.
func (n *node) send(port int, b *Batch) error {
	if n.reach != nil && len(b.Sel) > 0 {
		n.reach("output " + itoa(int64(port)))
	}
	if port >= len(n.outs) {
		return nil
	}
	return emitTo(n.outs[port], b)
}

// olds tells whether a reader of the node looks at the old rows of updates.
func (n *node) olds() bool {
	for _, out := range n.outs {
		for _, e := range out {
			if f, ok := e.to.op.(Forgetful); !ok || !f.Forgets() {
				return true
			}
		}
	}
	return false
}

func emitTo(children []edge, b *Batch) error {
	if len(b.Sel) == 0 {
		return nil
	}
	for _, e := range children {
		if e.to.reach != nil {
			e.to.reach("rows")
		}
		var err error
		if e.ported != nil {
			err = e.ported.ProcessPort(e.port, b, e.to.emit)
		} else {
			err = e.to.op.Process(b, e.to.emit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stepwise gives the rows of a batch to the readers one after the other: in
// graphs where a row reaches one operator on two ways, the order in which it
// sees them would otherwise depend on the sizes of batches.
func stepwise(children []edge, b *Batch) error {
	sel := b.Sel
	defer func() { b.Sel = sel }()
	for i := range sel {
		b.Sel = sel[i : i+1]
		if err := emitTo(children, b); err != nil {
			return err
		}
	}
	return nil
}

// meet tells whether rows of different sources meet in a node, and whether
// those of one source do, having gone different ways.
func (t *Task) meet() (sources, ways bool) {
	for _, n := range t.nodes {
		if len(n.spec.Inputs) < 2 {
			continue
		}
		sources = true
		seen := make([]bool, len(t.sub.Sources))
		for _, in := range n.spec.Inputs {
			for s := range seen {
				if in < 0 && s == ^in || in >= 0 && t.nodes[in].from[s] {
					ways = ways || seen[s]
					seen[s] = true
				}
			}
		}
	}
	return sources, ways
}

// watermark is the time that reaches a node: the least of its inputs that are
// not idle, or only until the clock has let go what they hold; where all are, of those that the clock moves (close_after_idle);
// else of all, which is where it stands. An input that has ended says nothing of
// those that are idle: what these hold comes before they end, too.
func (t *Task) watermark(n *node) int64 {
	live, moved, all := MaxTime, MaxTime, MaxTime
	anyLive, anyMoved := false, false
	for _, in := range n.clockIns {
		var w int64
		var idle, clocked bool
		if in >= 0 {
			up := t.nodes[in]
			w, idle = up.down, t.idle(up) && t.holds(up) != window.Draining
			clocked = idle && t.clocked(up)
		} else {
			w, idle, clocked = t.marks[^in], true, false
			for _, i := range t.inputs {
				if i.mark == ^in {
					idle = idle && i.isIdle()
					clocked = clocked || i.clocked()
				}
			}
		}
		all = min(all, w)
		if !idle {
			live, anyLive = min(live, w), true
		} else if clocked {
			moved, anyMoved = min(moved, w), true
		}
	}
	switch {
	case anyLive && (live != MaxTime || all == MaxTime):
		return live
	case anyLive:
		return all
	case anyMoved:
		return moved
	}
	return all
}

// idle tells whether all sources that a node's time comes from are idle.
func (t *Task) idle(n *node) bool {
	for _, in := range t.inputs {
		if n.clock[in.mark] && !in.isIdle() {
			return false
		}
	}
	return true
}

// clocked tells whether the clock moved the node's time to where it is.
func (t *Task) clocked(n *node) bool {
	for _, in := range t.inputs {
		if n.clock[in.mark] && in.clocked() {
			return true
		}
	}
	return false
}

// holds tells whether rows of sources that a node's time comes from may still be
// on their way through it, held until time has come: here or upstream. They drain
// where the clock moves all these sources (close_after_idle): then none of them
// keeps what is downstream waiting for ever.
func (t *Task) holds(n *node) window.Holding {
	held, drains := false, true
	for _, in := range t.inputs {
		if !n.clock[in.mark] {
			continue
		}
		drains = drains && in.spec.Watermark.CloseAfterIdle > 0
		if in.vector != nil && in.vector.Holds() {
			held = true
		}
		if hold := n.hold[in.mark]; hold > 0 && in.maxTime > MinTime && n.down < MaxTime &&
			(in.maxTime > MaxTime-hold || n.down < in.maxTime+hold) {
			held = true
		}
	}
	switch {
	case held && drains:
		return window.Draining
	case held:
		return window.Held
	}
	return window.None
}

// clocked tells whether the clock moved the input's time to where it is, here
// or upstream.
func (in *input) clocked() bool {
	return in.clock || in.vector != nil && in.clockMax != MinTime && in.clockMax >= in.vector.Value()
}

// Check finds what no task could run: a topic that two sub-topologies read (a
// partition has one reader and one committed offset), numbers out of range.
// Its error has kind Fatal.
func (t *Topology) Check() error {
	reader := map[Topic]int{}
	for i, sub := range t.Subs {
		for _, s := range sub.Sources {
			for _, topic := range s.Topics {
				if was, ok := reader[topic]; ok && was != i {
					return E(Fatal, fmt.Sprintf("read topic %q", topic), fmt.Errorf("sub-topologies %d and %d both read it: the sources of one topic belong to one", t.Subs[was].ID, sub.ID))
				}
				reader[topic] = i
			}
		}
		for k, n := range sub.Nodes {
			for _, in := range n.Inputs {
				if in >= k || in < 0 && ^in >= len(sub.Sources) {
					return E(Fatal, fmt.Sprintf("open %s %q", n.Kind, n.Name), fmt.Errorf("input %d comes after it or is not there", in))
				}
			}
		}
	}
	return nil
}
