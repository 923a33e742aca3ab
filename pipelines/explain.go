package pipelines

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// Explanation is what a pipeline comes down to, without a cluster: its names,
// its sub-topologies, its topics and its state.
type Explanation struct {
	Pipeline    string      `json:"pipeline"`
	Description string      `json:"description,omitempty"`
	Guarantee   string      `json:"guarantee"`
	Generation  int         `json:"generation"`
	Fingerprint string      `json:"fingerprint"` // of what makes state and internal topics compatible
	Names       []NameInfo  `json:"names"`
	Subs        []SubInfo   `json:"sub_topologies"`
	Topics      []TopicInfo `json:"topics"`
	Stores      []StoreInfo `json:"stores"`
}

// NameInfo is a name that transforms and sinks may read.
type NameInfo struct {
	Name     string       `json:"name"`
	Kind     string       `json:"kind"` // source, table, or the type of its transform
	Is       string       `json:"is"`   // stream or table
	Inputs   []string     `json:"inputs,omitempty"`
	Columns  []ColumnInfo `json:"columns"`
	Key      []string     `json:"key,omitempty"`          // what tells rows apart
	Parted   []string     `json:"partition_by,omitempty"` // what decides the partition
	NotBuilt bool         `json:"not_built,omitempty"`    // no sink reads it
}

// ColumnInfo is a column with its type, as a schema writes it.
type ColumnInfo struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// SubInfo is what lies between topics; one task for each partition.
type SubInfo struct {
	ID      int        `json:"id"`
	Tasks   string     `json:"tasks"`
	Sources []ReadInfo `json:"sources"`
	Nodes   []NodeInfo `json:"nodes"`
}

// ReadInfo is what a sub-topology reads.
type ReadInfo struct {
	Name     string       `json:"name"`
	Topics   []string     `json:"topics"`
	Columns  []ColumnInfo `json:"columns"` // those that something reads
	Key      []string     `json:"key,omitempty"`
	From     *int         `json:"from,omitempty"` // the sub-topology that writes it
	Failures string       `json:"errors"`         // what happens to records that go wrong
}

// NodeInfo is one operator.
type NodeInfo struct {
	Name   string   `json:"name"`
	Kind   string   `json:"kind"`
	Inputs []string `json:"inputs"`
	Emits  string   `json:"emits"` // facts or changes
	Stores []string `json:"stores,omitempty"`
	Writes []string `json:"writes,omitempty"`
	Notes  []string `json:"notes,omitempty"`
}

// TopicInfo is a topic that the pipeline reads or writes.
type TopicInfo struct {
	Topic      string            `json:"topic"`
	Kind       string            `json:"kind"` // source, sink, repartition, changelog, view, outbox, dead letters, plan
	Partitions string            `json:"partitions"`
	Settings   map[string]string `json:"settings,omitempty"`
	// Age is how old, in event time, a record may be when it is written: the
	// length of a window and what it waits for. 0: not known, or stamped now.
	Age time.Duration `json:"age_ns,omitempty"`
	// OneWindow: the record key lacks the window, so compaction keeps one window
	// of each key.
	OneWindow bool `json:"one_window_per_key,omitempty"`
}

// StoreInfo is one store of the state.
type StoreInfo struct {
	Name        string `json:"name"`
	Sub         int    `json:"sub_topology"`
	Changelog   string `json:"changelog"`
	Fingerprint string `json:"fingerprint"` // what makes its bytes readable
	Bytes       int    `json:"bytes_per_key"`
	SentBytes   int    `json:"bytes_per_key_sent,omitempty"`
	Loose       int    `json:"values_of_no_fixed_size,omitempty"`
	Panes       bool   `json:"per_pane,omitempty"`
	Estimate    string `json:"estimate"`
}

// Explain tells what a pipeline that Load found no errors in comes down to. It
// asks no broker and needs no secrets.
func Explain(p *Pipeline) (*Explanation, *engine.Topology, error) { return ExplainAs(p, 1) }

// ExplainAs is Explain of a generation.
func ExplainAs(p *Pipeline, generation int) (*Explanation, *engine.Topology, error) {
	topo, err := Build(p, Options{Generation: generation, Secret: func(string) (string, bool) { return "secret", true }})
	if err != nil {
		return nil, nil, err
	}
	e := &Explanation{Pipeline: topo.Pipeline, Description: topo.Description, Generation: topo.Generation, Fingerprint: topo.Fingerprint, Guarantee: "exactly_once", Stores: []StoreInfo{}}
	if topo.Guarantee == engine.AtLeastOnce {
		e.Guarantee = "at_least_once"
	}
	built := map[string]bool{}
	for _, sub := range topo.Subs {
		e.Subs = append(e.Subs, subInfo(topo, sub))
		for _, s := range sub.Sources {
			built[s.Name] = true
		}
		for _, n := range sub.Nodes {
			built[n.Name] = true
			built[strings.TrimSuffix(n.Name, ".set")] = true // behind a join
		}
	}
	e.names(p, built)
	e.topics(topo)
	e.sinks(p)
	for _, sub := range topo.Subs {
		for _, s := range sub.StoreSpecs() {
			e.Stores = append(e.Stores, storeInfo(p, topo, sub, s))
		}
	}
	return e, topo, nil
}

func (e *Explanation) names(p *Pipeline, built map[string]bool) {
	add := func(name, kind string) {
		s := p.checked.streams[name]
		if s == nil {
			return // a branch has no rows of its own name
		}
		n := NameInfo{Name: name, Kind: kind, Is: "stream", Columns: columnInfos(s.schema, s.lists), Parted: s.key, NotBuilt: !built[s.name0()]}
		if s.table || s.results {
			n.Key = s.identity()
		}
		if s.table {
			n.Is = "table"
		}
		for _, in := range s.inputs {
			n.Inputs = append(n.Inputs, in.name)
		}
		e.Names = append(e.Names, n)
	}
	for _, s := range p.Sources {
		if s.table {
			add(s.Name.Text, "table")
		} else {
			add(s.Name.Text, "source")
		}
	}
	for _, t := range p.Transforms {
		add(t.Name.Text, t.Kind)
		for _, side := range t.Step.sides() {
			add(side.Text, t.Kind)
		}
	}
}

func columnInfos(schema *engine.Schema, lists map[string]engine.Type) []ColumnInfo {
	out := []ColumnInfo{}
	for _, f := range schema.Fields {
		c := ColumnInfo{f.Name, f.Type.String()}
		if elem, list := lists[f.Name]; list && elem != engine.Invalid {
			c.Type = "[" + elem.String() + "]"
		}
		out = append(out, c)
	}
	return out
}

func subInfo(topo *engine.Topology, sub *engine.SubTopology) SubInfo {
	info := SubInfo{ID: sub.ID, Nodes: []NodeInfo{}}
	for _, s := range sub.Sources {
		r := ReadInfo{Name: s.Name, Columns: columnInfos(s.Schema, nil), Key: s.KeyColumns, Failures: failures(s.Errors)}
		for _, t := range s.Topics {
			r.Topics = append(r.Topics, string(t))
		}
		if s.Repartition {
			r.From = &s.Upstream
			if info.Tasks == "" {
				info.Tasks = fmt.Sprintf("as many as sub-topology %d has", s.Upstream)
			}
		} else {
			info.Tasks = "one for each partition of " + r.Topics[0]
		}
		info.Sources = append(info.Sources, r)
	}
	for _, n := range sub.Nodes {
		node := NodeInfo{Name: n.Name, Kind: n.Kind, Notes: n.Notes, Emits: "facts"}
		if n.Table {
			node.Emits = "changes"
		}
		for _, in := range n.Inputs {
			if in < 0 {
				node.Inputs = append(node.Inputs, sub.Sources[^in].Name)
			} else {
				node.Inputs = append(node.Inputs, sub.Nodes[in].Name)
			}
		}
		for _, s := range n.Stores {
			node.Stores = append(node.Stores, s.Name)
		}
		for _, o := range n.Outputs {
			node.Writes = append(node.Writes, topicName(topo, o.Topic))
		}
		info.Nodes = append(info.Nodes, node)
	}
	return info
}

func topicName(topo *engine.Topology, t engine.Topic) string {
	if path, ok := topo.Files[t]; ok {
		return "the file " + path
	}
	if t.IsLocal() {
		return "standard output"
	}
	return string(t)
}

// failures says what happens to records that go wrong, where that is one thing.
func failures(p engine.ErrorPolicy) string {
	words := []string{"fail", "skip", "dead_letter"}
	text := words[p.Of(engine.StageDecode)]
	if p.Topic != "" {
		text += " to " + string(p.Topic)
	}
	return text
}

// topics lists each topic once: what is read, then what is written.
func (e *Explanation) topics(topo *engine.Topology) {
	seen := map[engine.Topic]bool{}
	enter := func(topic engine.Topic, kind, partitions string, settings map[string]string) {
		if topic == "" || topic.IsLocal() || seen[topic] {
			return
		}
		seen[topic] = true
		e.Topics = append(e.Topics, TopicInfo{Topic: string(topic), Kind: kind, Partitions: partitions, Settings: settings})
	}
	for _, topic := range topo.SourceTopics() {
		enter(topic, "source", "as it has", nil)
	}
	for _, sub := range topo.Subs {
		own := fmt.Sprintf("as many as sub-topology %d has tasks", sub.ID)
		for _, n := range sub.Nodes {
			for _, o := range n.Outputs {
				kind, partitions := topicKind(o.Topic), own
				if kind == "repartition" {
					partitions = "as many as its reader has tasks"
				}
				enter(o.Topic, kind, partitions, o.Configs)
			}
			for _, s := range n.Stores {
				enter(topo.ChangelogTopic(s.Name), "changelog", own, engine.ChangelogConfigs())
			}
		}
		for _, s := range sub.Sources {
			enter(s.Errors.Topic, "dead letters", own, nil)
		}
		for _, n := range sub.Nodes {
			enter(n.Errors.Topic, "dead letters", own, nil)
		}
	}
	enter(topo.MetaTopic(), "plan", "1", engine.ChangelogConfigs())
}

// sinks notes what retention and compaction would do to the results of windows.
func (e *Explanation) sinks(p *Pipeline) {
	for _, s := range p.Sinks {
		in := p.checked.sinks[s]
		if s.Kafka == nil || in == nil || in.window == nil {
			continue
		}
		key, _ := kafkaKey(s.Kafka, in)
		for i := range e.Topics {
			t := &e.Topics[i]
			if t.Topic != s.Kafka.Topic.Text {
				continue
			}
			t.OneWindow = t.OneWindow || !slices.Contains(key, windowStart)
			if !s.Kafka.Now {
				t.Age = max(t.Age, in.delay()+time.Duration(in.window.Size)*time.Millisecond)
			}
		}
	}
}

func topicKind(t engine.Topic) string {
	for _, kind := range []string{"repartition", "view", "outbox"} {
		if strings.HasSuffix(string(t), "."+kind) {
			return kind
		}
	}
	return "sink"
}

func storeInfo(p *Pipeline, topo *engine.Topology, sub *engine.SubTopology, s state.Spec) StoreInfo {
	kept, sent := s.Families[state.Panes], s.Families[state.Sent]
	pane := p.pane(s.Name)
	return StoreInfo{Name: s.Name, Sub: sub.ID, Changelog: string(topo.ChangelogTopic(s.Name)), Fingerprint: oneLine(s.Fingerprint), Bytes: kept.Words * wordBytes,
		SentBytes: sent.Words * wordBytes, Loose: len(kept.Blobs) + len(sent.Blobs), Panes: pane != "", Estimate: estimate(s, pane)}
}

// oneLine puts a fingerprint's lines behind each other.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
}

// JSON is the explanation for tools.
func (e *Explanation) JSON() []byte { return indented(e) }

// Text is the explanation for people.
func (e *Explanation) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("pipeline %s: %s, generation %d, fingerprint %s", e.Pipeline, e.Guarantee, e.Generation, e.Fingerprint)
	if e.Description != "" {
		line("  %s", e.Description)
	}
	line("\nnames")
	for _, n := range e.Names {
		from := ""
		if len(n.Inputs) > 0 {
			from = " ◀─ " + strings.Join(n.Inputs, ", ")
		}
		line("  %-6s %s (%s)%s", n.Is, n.Name, n.Kind, from)
		line("         %s", columnsText(n.Columns))
		switch {
		case len(n.Key) > 0:
			line("         one row for each %s", strings.Join(n.Key, ", "))
		case len(n.Parted) > 0:
			line("         keyed by %s", strings.Join(n.Parted, ", "))
		}
		if n.NotBuilt {
			line("         not built: no sink reads it")
		}
	}
	for _, sub := range e.Subs {
		line("\nsub-topology %d: tasks %s", sub.ID, sub.Tasks)
		for _, s := range sub.Sources {
			line("  reads %s: %s", strings.Join(s.Topics, ", "), columnsText(s.Columns))
			if s.Failures != "fail" {
				line("      records that go wrong: %s", s.Failures)
			}
		}
		for _, n := range sub.Nodes {
			line("  %s %s ◀─ %s", n.Kind, n.Name, strings.Join(n.Inputs, ", "))
			for _, s := range n.Stores {
				line("      store %s", s)
			}
			for _, t := range n.Writes {
				line("      writes %s", t)
			}
			for _, note := range n.Notes {
				line("      %s", note)
			}
		}
	}
	line("\ntopics")
	for _, t := range e.Topics {
		line("  %s (%s), partitions: %s", t.Topic, t.Kind, t.Partitions)
		if len(t.Settings) > 0 {
			line("      %s", settingsText(t.Settings))
		}
	}
	if len(e.Stores) > 0 {
		line("\nstores")
	}
	for _, s := range e.Stores {
		line("  %s of sub-topology %d: %s", s.Name, s.Sub, s.Estimate)
		line("      changelog %s", s.Changelog)
		line("      fingerprint %s", s.Fingerprint)
	}
	return b.String()
}

func columnsText(columns []ColumnInfo) string {
	if len(columns) == 0 {
		return "no column is needed"
	}
	var parts []string
	for _, c := range columns {
		parts = append(parts, c.Name+" "+c.Type)
	}
	return strings.Join(parts, ", ")
}

func settingsText(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+"="+m[k])
	}
	return strings.Join(parts, " ")
}
