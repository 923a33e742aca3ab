package pipelines

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/leatstream/leat/connectors/file"
	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
)

// sink adds the node of a sink.
func (b *builder) sink(s *Sink, in *stream, at place) error {
	at, err := b.unhidden(s, in, at)
	if err != nil {
		return err
	}
	n := &engine.NodeSpec{
		Name: s.Name.Text, Kind: "sink:" + s.Kind, Inputs: []int{at.node}, Ports: at.ports(), Schema: at.schema, Table: in.table,
		Errors: policyOf(s.Errors, b.p.Errors),
	}
	switch {
	case s.Kafka != nil:
		if err := b.kafkaSink(n, s, in, at.schema); err != nil {
			return err
		}
	case s.SSE != nil:
		b.sseSink(n, s, in, at.schema)
	case s.Alert != nil:
		if at, err = b.alert(s, in, at); err != nil {
			return err
		}
		if err := b.outbox(n, s, in, at); err != nil {
			return err
		}
	case s.Lines != nil:
		b.linesSink(n, s, in, at.schema)
	default:
		return fmt.Errorf("kind %q has no operator", s.Kind)
	}
	at.sub.Nodes = append(at.sub.Nodes, n)
	return nil
}

// linesSink makes a sink of lines, on standard output or in a file.
func (b *builder) linesSink(n *engine.NodeSpec, s *Sink, in *stream, schema *engine.Schema) {
	var key []int
	for _, name := range in.identity() {
		key = append(key, schema.Lookup(name))
	}
	name, final := s.Name.Text, s.Lines.OnlyFinal.Given()
	if s.Kind == "stdout" {
		n.New = file.Stdout(name, schema, key, final)
		n.Outputs = []engine.TopicSpec{{Topic: engine.StdoutTopic(name)}}
		return
	}
	topic := engine.FileTopic(name)
	n.New = file.File(name, schema, key, final)
	n.Outputs = []engine.TopicSpec{{Topic: topic}}
	n.Notes = append(n.Notes, "lines of committed results, each at most once, behind what is in "+s.Lines.Path.Text)
	if b.topo.Files == nil {
		b.topo.Files = map[engine.Topic]string{}
	}
	b.topo.Files[topic] = s.Lines.Path.Text
}

// kafkaKey gives the columns of a sink's record key and those that choose its
// partition; nil: the record's own key is kept.
func kafkaKey(k *KafkaSink, in *stream) (key, group []string) {
	if in.grouped {
		group = slices.Clone(in.group)
	}
	if k.HasKey {
		key = []string{}
		for _, w := range k.Key {
			key = append(key, w.Text)
		}
		// Rows of one group stay in one partition where the key begins with it.
		if group == nil || !contains(key, group) {
			group = key
		}
		return key, group
	}
	if group == nil {
		return nil, nil
	}
	key = slices.Clone(group)
	if in.table && in.windowed {
		key = append(key, windowStart)
		// A closed session and a later one may begin at the same row's time, and the
		// windows of cumulate all begin together; where windows came together (join,
		// union, top), two may be of different sizes.
		if in.window == nil || in.window.Kind == "session" || in.window.Kind == "cumulate" {
			key = append(key, windowEnd)
		}
	}
	return key, group
}

func contains(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}

func (b *builder) kafkaSink(n *engine.NodeSpec, s *Sink, in *stream, schema *engine.Schema) error {
	k := s.Kafka
	key, group := kafkaKey(k, in)
	indexes := func(names []string) []int {
		if names == nil {
			return nil
		}
		out := []int{}
		for _, name := range names {
			out = append(out, schema.Lookup(name))
		}
		return out
	}
	var drop []int
	for i, f := range schema.Fields {
		if in.schema.Lookup(f.Name) >= 0 && slices.ContainsFunc(k.Drop, func(w Word) bool { return w.Text == f.Name }) {
			drop = append(drop, i)
		}
	}
	topic := engine.Topic(k.Topic.Text)
	f, err := k.formats(schemaName(b.p, s), in, schema)
	if err != nil {
		return err
	}
	n.New = kafka.Sink(kafka.SinkSpec{
		Topic: topic, Schema: schema, Key: indexes(key), GroupKey: indexes(group), Drop: drop,
		OnlyFinal: k.OnlyFinal.Given(), Style: engine.ValueStyle{RFC3339: k.RFC3339}, TimestampNow: k.Now, Headers: k.Headers, Table: in.table,
		NewEncoder: f.value.encoder, NewKeyEncoder: f.key.encoder,
	})
	n.Outputs, n.EventStamps = []engine.TopicSpec{{Topic: topic, MustExist: k.Exists}}, !k.Now
	if k.Exists {
		n.Notes = append(n.Notes, "the topic must exist")
	}
	if key != nil {
		n.Notes = append(n.Notes, "record key: "+textList(key))
	}
	return nil
}

func textList(names []string) string {
	if len(names) == 0 {
		return "{}"
	}
	return fmt.Sprint(names)
}

// ViewTopic is the topic of an sse sink.
func viewTopic(pipeline, sink string) engine.Topic {
	return engine.Topic(pipeline + "." + sink + ".view")
}

func (b *builder) sseSink(n *engine.NodeSpec, s *Sink, in *stream, schema *engine.Schema) {
	v := engine.ViewSpec{
		Name: b.p.Name.Text + "/" + s.Name.Text, Pipeline: b.p.Name.Text, Sink: s.Name.Text, Topic: viewTopic(b.p.Name.Text, s.Name.Text),
		KeyColumns: in.identity(), Windowed: in.windowed, History: s.SSE.History, MaxRows: s.SSE.MaxRows, MaxKeys: s.SSE.MaxKeys,
		Refresh: s.SSE.Refresh, ResumeWindow: s.SSE.ResumeWindow, Replay: s.SSE.Replay, Reach: b.reach(in), Generation: b.topo.Generation,
	}
	// A filter over a source has no group, and its rows no identity; so have the
	// rows of a rekey, whose key is not theirs alone.
	v.Stream = !b.replaces(in)
	if v.Stream {
		v.KeyColumns, v.Windowed = nil, false
	} else if v.KeyColumns == nil {
		v.KeyColumns = []string{}
	}
	for _, f := range schema.Fields {
		v.Columns = append(v.Columns, engine.ViewColumn{Name: f.Name, Type: f.Type.String()})
	}
	n.New = sse.Sink(sse.SinkSpec{View: v})
	n.Outputs = []engine.TopicSpec{{Topic: v.Topic, Configs: viewConfigs(v)}}
	b.topo.Views = append(b.topo.Views, v)
}

// replaces tells whether a row replaces the one before it with the same identity:
// tables, and the results of aggregates whose group columns are all still there.
func (b *builder) replaces(s *stream) bool {
	return s.identity() != nil && (s.table || s.results)
}

// Internal topics use the broker's append time: retention counts record
// timestamps, and a backfill of old rows would delete itself.
const appendTime = "LogAppendTime"

func repartitionConfigs() map[string]string {
	return map[string]string{
		"cleanup.policy": "delete", "retention.ms": "-1", "segment.bytes": strconv.Itoa(64 << 20), "message.timestamp.type": appendTime,
	}
}

// viewConfigs make a view's topic small enough to be read in seconds.
func viewConfigs(v engine.ViewSpec) map[string]string {
	c := map[string]string{
		"cleanup.policy": "compact", "message.timestamp.type": appendTime,
		"segment.bytes": strconv.Itoa(32 << 20), "segment.ms": milliseconds(10 * time.Minute), "min.cleanable.dirty.ratio": "0.1",
	}
	if v.Replay > 0 {
		c["min.compaction.lag.ms"] = milliseconds(v.Replay)
	}
	if v.Stream || v.Windowed && v.Reach > 0 { // else compaction alone takes what was deleted
		c["cleanup.policy"] = "compact,delete"
		c["retention.ms"] = milliseconds(max(v.Reach+v.History, v.Replay) + v.ResumeWindow + 24*time.Hour)
	}
	return c
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// dashboardSpec is the dashboard as the page gets it.
type dashboardSpec struct {
	Pipeline    string      `json:"pipeline"`
	Title       string      `json:"title"`
	Description string      `json:"description,omitempty"`
	RefreshMs   int64       `json:"refresh_ms"`
	Panels      []panelSpec `json:"panels"`
}

type panelSpec struct {
	Type    string   `json:"type"`
	Title   string   `json:"title,omitempty"`
	View    string   `json:"view"` // <pipeline>/<sink>
	Value   string   `json:"value,omitempty"`
	Series  string   `json:"series,omitempty"`
	Unit    string   `json:"unit,omitempty"`
	Columns []string `json:"columns,omitempty"`
	Top     int      `json:"top,omitempty"`
	K       int      `json:"k,omitempty"`
	Fn      string   `json:"fn,omitempty"`
	Scale   string   `json:"scale,omitempty"`
}

// dashboardJSON is the dashboard as it was written; nil: none. What it leaves
// open the page decides, panels that are not there included.
func dashboardJSON(p *Pipeline) []byte {
	d := p.Dashboard
	if d == nil {
		return nil
	}
	out := dashboardSpec{Pipeline: p.Name.Text, Title: d.Title, Description: p.Description, RefreshMs: d.Refresh.Milliseconds(), Panels: []panelSpec{}}
	if out.Title == "" {
		out.Title = p.Name.Text
	}
	for _, panel := range d.Panels {
		spec := panelSpec{
			Type: panel.Type, Title: panel.Title, View: p.Name.Text + "/" + panel.View.Text, Value: panel.Value.Text, Series: panel.Series.Text,
			Unit: panel.Unit, Top: panel.Top, K: panel.K, Fn: panel.Fn, Scale: panel.Scale,
		}
		for _, w := range panel.Columns {
			spec.Columns = append(spec.Columns, w.Text)
		}
		out.Panels = append(out.Panels, spec)
	}
	data, err := json.Marshal(out)
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return data
}
