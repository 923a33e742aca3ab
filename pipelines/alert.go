package pipelines

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/outbox"
	"github.com/leatstream/leat/connectors/webhook"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// AlertSink decides alerts: webhook and web_push.
type AlertSink struct {
	When         *Expr // nil: each row
	Resolve      *Expr // nil: not When
	ResolveAfter time.Duration
	DedupeKey    []Word
	HasKey       bool
	Repeat       time.Duration
	Level        string // of all, one of operators.AlertLevels
	Priority     *Expr  // of each row; nil: Level
	Quiet        *Quiet // nil: none
	GroupBy      []Word
	GroupWait    time.Duration
	grouped      bool
	Retry        outbox.Retry

	URL     Word // these are of a webhook
	Headers map[string]string
	Secrets []string
	Body    []Assign // what is posted; nil: the row

	Title, Text *Expr // these are of a web_push

	when, resolve, priority, through *expr.Program
	columns                          []mapColumn // of Body, Title and Text
}

// The columns behind a notification's own that a web_push shows; those of a
// webhook's body stand behind alertBody.
const (
	alertTitle = "alert.title"
	alertText  = "alert.text"
	alertBody  = "alert.body."
)

// groupWait is what Prometheus' Alertmanager waits, too.
const groupWait = 30 * time.Second

func (l *loader) alertSink(f *fields, kind string) *AlertSink {
	s := &AlertSink{ResolveAfter: l.span(f.get("resolve_after"), time.Millisecond), Repeat: l.span(f.get("repeat_interval"), time.Millisecond)}
	if v := f.get("when"); v != nil {
		s.When = l.expr(v)
	}
	if v := f.get("resolve_when"); v != nil {
		s.Resolve = l.expr(v)
	}
	if v := f.get("dedupe_key"); v != nil {
		s.DedupeKey, s.HasKey = l.columns(v), true
	}
	s.Level = "normal"
	if v := f.get("priority"); v != nil {
		if s.Priority = l.expr(v); s.Priority != nil && slices.Contains(operators.AlertLevels, s.Priority.Text) {
			s.Level, s.Priority = s.Priority.Text, nil
		}
	}
	s.Quiet = l.quiet(f.get("quiet"))
	by, wait := f.get("group_by"), f.get("group_wait")
	s.GroupBy, s.grouped = l.columns(by), by != nil || wait != nil
	if s.GroupWait = groupWait; wait != nil {
		s.GroupWait = l.span(wait, 0)
	}
	s.Retry = l.retry(f.get("retry"))
	if kind == "web_push" {
		if v := f.get("title"); v != nil {
			s.Title = l.expr(v)
		}
		if v := f.get("text"); v != nil {
			s.Text = l.expr(v)
		}
		return s
	}
	if v := f.get("url"); v != nil {
		if text, ok := l.text(v); ok {
			s.URL = wordOf(v, text)
			if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
				l.fail(v, "value", "for example https://example.org/hook", "%s is no address to post to", shorten(v.raw()))
			}
		}
	}
	s.Headers, s.Secrets, s.Body = l.alertHeaders(f.get("headers")), l.alertSecrets(f.get("secret")), l.assigns(f.get("body"), false)
	return s
}

func (l *loader) alertHeaders(n *node) map[string]string {
	headers := l.headers(n)
	for name, value := range headers {
		if err := webhook.CheckHeader(name, value); err != nil {
			l.fail(n, "value", "", "%s", err)
		}
	}
	return headers
}

// alertSecrets reads one secret, or a list while one takes the other's place.
func (l *loader) alertSecrets(n *node) []string {
	if n == nil {
		return nil
	}
	items := []*node{n}
	if n.kind == sequenceNode {
		items = n.items
	}
	var secrets []string
	for _, item := range items {
		text, ok := l.text(item)
		if !ok {
			continue
		}
		if err := webhook.CheckSecret(text); err != nil {
			l.fail(item, "value", "secret: ${WEBHOOK_SECRET}", "%s", err)
		}
		secrets = append(secrets, text)
	}
	return secrets
}

func (l *loader) retry(n *node) outbox.Retry {
	var r outbox.Retry
	f := l.fields(n, mustKind("retry", ""))
	if f == nil {
		return r
	}
	defer f.done()
	if v := f.get("attempts"); v != nil {
		r.Attempts, _ = l.whole(v, 1, 1_000_000)
	}
	r.For, r.Min, r.Max = l.span(f.get("for"), time.Millisecond), l.span(f.get("min"), time.Millisecond), l.span(f.get("max"), time.Millisecond)
	if r.Min > 0 && r.Max > 0 && r.Min > r.Max {
		l.fail(n, "value", "", "min is above max")
	}
	return r
}

// key are the columns of which one alert is made for each of their values.
func (a *AlertSink) key(in *stream) []string {
	if !a.HasKey {
		return in.group
	}
	return textsOf(a.DedupeKey)
}

func textsOf(words []Word) []string {
	var out []string
	for _, w := range words {
		out = append(out, w.Text)
	}
	return out
}

// notification is what one looks like of rows of a schema, before body, title
// and text.
func (a *AlertSink) notification(rows *engine.Schema) (*engine.Schema, error) {
	spec, err := operators.NewAlert(operators.AlertSpec{In: rows})
	if err != nil || !a.grouped {
		return spec.Out, err
	}
	return operators.NewAlertGroup(a.group(spec.Out)).Out, nil
}

func (a *AlertSink) group(in *engine.Schema) operators.AlertGroupSpec {
	s := operators.AlertGroupSpec{In: in, Wait: a.GroupWait}
	for _, w := range a.GroupBy {
		s.By = append(s.By, in.Lookup(w.Text))
	}
	return s
}

// posted is what a notification looks like in the outbox.
func (a *AlertSink) posted(rows *engine.Schema) (*engine.Schema, error) {
	out, err := a.notification(rows)
	if err != nil || len(a.columns) == 0 {
		return out, err
	}
	if a.Body != nil {
		return a.body(), nil
	}
	return engine.NewSchema(append(slices.Clone(out.Fields), schemaOf(a.columns).Fields...)...), nil
}

// body is what is posted where a body is given.
func (a *AlertSink) body() *engine.Schema {
	var fields []engine.Field
	for _, c := range a.columns {
		fields = append(fields, engine.Field{Name: strings.TrimPrefix(c.field.Name, alertBody), Type: c.field.Type})
	}
	return engine.NewSchema(fields...)
}

func (k *checker) alertSink(s *Sink, in *stream) {
	a := s.Alert
	for _, w := range append(slices.Clone(a.DedupeKey), a.GroupBy...) {
		if in.schema.Lookup(w.Text) < 0 {
			k.compile.unknownColumn(w, in)
			return
		}
	}
	rows := &derivation{reads: map[string]bool{}}
	columns := scope{schema: in.visible(), lists: in.lists}
	a.when, a.resolve = k.compile.condition(a.When, columns, rows), k.compile.condition(a.Resolve, columns, rows)
	k.alertPriority(a, columns, rows)
	k.quiet(a, columns, rows, in)
	k.lintOneAlert(s, in)
	if a.When == nil && !in.table && a.ResolveAfter == 0 {
		at := s.Name.node
		if a.URL.Given() {
			at = a.URL.node
		}
		k.warn(at, "alert", "set when: …, or resolve_after: …", "every row fires and nothing resolves: there will be one alert for each key")
	}
	schema, err := a.notification(in.visible())
	if err != nil {
		k.fail(s.node, "value", "rename it in a map", "%s", err)
		return
	}
	told := scope{schema: schema, lists: in.lists}
	assigns := make([]Assign, 0, len(a.Body)+2)
	for _, b := range a.Body {
		b.Column.Text = alertBody + b.Column.Text
		assigns = append(assigns, b)
	}
	for _, one := range []struct {
		name string
		e    *Expr
	}{{alertTitle, a.Title}, {alertText, a.Text}} {
		if one.e != nil {
			assigns = append(assigns, Assign{Column: Word{Text: one.name}, Expr: one.e})
		}
	}
	for _, to := range assigns {
		p := k.compile.compile(to.Expr, told, rows)
		if p == nil {
			continue
		}
		c := mapColumn{field: engine.Field{Name: to.Column.Text, Type: p.Type()}, from: -1, expr: p}
		switch i := plainColumn(schema, to.Expr); {
		case i >= 0:
			c.from, c.expr, c.field.Type = i, nil, schema.Fields[i].Type
		case p.Type() == engine.Invalid:
			k.compile.l.failAt(to.Expr.node, to.Expr.offset, "expression", "leave it out", "this is always null")
			continue
		}
		if a.Body == nil && c.field.Type != engine.String {
			k.compile.l.failAt(to.Expr.node, to.Expr.offset, "type", "string(…)", "a text is needed here, this is %s", article(c.field.Type.String()))
			continue
		}
		a.columns = append(a.columns, c)
	}
}

// alert adds the nodes that decide what is told.
func (b *builder) alert(s *Sink, in *stream, at place) (place, error) {
	a := s.Alert
	at, decides := b.alertRows(s, in, at)
	spec := operators.AlertSpec{In: at.schema, Repeat: a.Repeat, After: a.ResolveAfter, Level: slices.Index(operators.AlertLevels, a.Level)}
	for _, name := range a.key(in) {
		spec.Key = append(spec.Key, operators.GroupColumn{Name: name, From: at.schema.Lookup(name)})
	}
	columns := place{schema: at.schema, lists: at.lists}
	var err error
	if spec.When, err = b.again(a.when, columns); err != nil {
		return at, err
	}
	if spec.Resolve, err = b.again(a.resolve, columns); err != nil {
		return at, err
	}
	if spec.Priority, err = b.again(a.priority, columns); err != nil {
		return at, err
	}
	if spec.Quiet, err = b.quiet(a, columns); err != nil {
		return at, err
	}
	if spec, err = operators.NewAlert(spec); err != nil {
		return at, err
	}
	name := s.Name.Text
	n := &engine.NodeSpec{
		Name: name + "-alert", Step: name, Kind: "alert", Inputs: []int{at.node}, Ports: at.ports(), Schema: spec.Out,
		Stores: operators.AlertStores(name, spec), New: operators.Alert(spec),
	}
	at = b.follow(n, s, at)
	if a.grouped {
		if names := textsOf(a.GroupBy); !contains(names, decides) {
			// Notifications are few: they move, not the rows that they are made of.
			at = b.gather(s, s.Name.Text+"-group", &stream{timeless: in.timeless}, at, names)
		}
		if at, err = b.alertGroup(s, at); err != nil {
			return at, err
		}
	}
	if len(a.columns) == 0 {
		return at, nil
	}
	told := &stream{schema: at.schema}
	all := make([]mapColumn, 0, len(at.schema.Fields)+len(a.columns))
	for i, f := range at.schema.Fields {
		all = append(all, mapColumn{field: f, from: i})
	}
	schema, cols, err := b.columns(told, append(all, a.columns...), place{schema: at.schema, lists: at.lists}, nil)
	if err != nil {
		return at, err
	}
	return b.follow(&engine.NodeSpec{Name: name + "-text", Step: name, Kind: "map", Inputs: []int{at.node}, Schema: schema, New: operators.Map(schema, cols)}, s, at), nil
}

// alertRows brings the rows of one alert to one partition, where they are in
// several, and tells which columns decide it.
func (b *builder) alertRows(s *Sink, in *stream, at place) (place, []string) {
	a := s.Alert
	key := a.key(in)
	if in.key != nil && contains(key, in.key) {
		return at, in.key
	}
	by := key
	if names := textsOf(a.GroupBy); len(names) > 0 && contains(key, names) {
		by = names // so that a group is in one partition, too
	}
	return b.gather(s, s.Name.Text, in, at, by), by
}

// gather sends rows through a repartition topic in which null is a key as others
// are: no alert is lost for want of a value.
func (b *builder) gather(s *Sink, label string, in *stream, at place, key []string) place {
	step := &stream{name: s.Name.Text, step: &Transform{Name: s.Name, Errors: s.Errors}}
	next := b.repartition(step, in, arrival{label: label}, at, key)
	n := at.sub.Nodes[len(at.sub.Nodes)-1]
	var cols []int
	for _, name := range key {
		cols = append(cols, at.schema.Lookup(name))
	}
	n.New = engine.RepartitionMeeting(n.Outputs[0].Topic, at.schema, cols, 0)
	return next
}

// alertGroup adds the node that puts notifications together.
func (b *builder) alertGroup(s *Sink, at place) (place, error) {
	spec := s.Alert.group(at.schema)
	encoder, err := codec.NewRowEncoder("json", at.schema, codec.EncoderOptions{})
	if err != nil {
		return at, err
	}
	spec.NewEncoder = func() operators.RowAppender { return encoder() }
	spec = operators.NewAlertGroup(spec)
	name := s.Name.Text
	return b.follow(&engine.NodeSpec{
		Name: name + "-group", Step: name, Kind: "alert group", Inputs: []int{at.node}, Schema: spec.Out,
		Stores: operators.AlertGroupStores(name+"-group", spec), New: operators.AlertGroup(spec),
	}, s, at), nil
}

// follow appends a node of an alert sink and gives the place behind it.
func (b *builder) follow(n *engine.NodeSpec, s *Sink, at place) place {
	n.Errors = policyOf(s.Errors, b.p.Errors)
	if n.Stores != nil {
		b.stored(n)
	}
	at.sub.Nodes = append(at.sub.Nodes, n)
	return place{sub: at.sub, node: len(at.sub.Nodes) - 1, schema: n.Schema, lists: at.lists}
}

// outboxDays is how long what was not sent is kept.
const outboxDays = 30

// outbox makes the sink that writes alerts for their sender.
func (b *builder) outbox(n *engine.NodeSpec, s *Sink, in *stream, at place) error {
	a, topic := s.Alert, outboxTopic(b.p, s)
	n.Inputs, n.Ports, n.Schema, n.Table = []int{at.node}, nil, at.schema, false
	names := a.key(in)
	if a.grouped {
		names = textsOf(a.GroupBy)
	}
	key := []int{} // of no column: one key for all
	for _, name := range names {
		key = append(key, at.schema.Lookup(name))
	}
	spec := kafka.SinkSpec{Topic: topic, Schema: at.schema, Key: key, GroupKey: key, TimestampNow: true}
	value, from := at.schema, 0
	if a.Body != nil {
		value, from = a.body(), len(at.schema.Fields)-len(a.columns)
	}
	encoder, err := codec.NewRowEncoder("json", value, codec.EncoderOptions{})
	if err != nil {
		return err
	}
	n.New = func(ctx *engine.Context) (engine.Operator, error) {
		notes := &noteEncoder{RowEncoder: encoder(), from: from, priority: at.schema.Lookup(operators.AlertPriority)}
		spec, marked := spec, *ctx
		spec.NewEncoder = func() codec.RowEncoder { return notes }
		marked.Produce = func(r engine.Record) {
			r.Headers = append(slices.Clone(r.Headers), engine.Header{Key: outbox.PriorityHeader, Value: []byte(operators.AlertLevels[notes.level])})
			ctx.Produce(r)
		}
		return kafka.Sink(spec)(&marked)
	}
	n.Outputs = []engine.TopicSpec{{Topic: topic, Configs: map[string]string{
		"cleanup.policy": "delete", "message.timestamp.type": appendTime, "retention.ms": milliseconds(outboxDays * 24 * time.Hour)}}}
	n.Notes = append(n.Notes, "alerts wait in "+string(topic)+" for their sender")
	return nil
}

func outboxTopic(p *Pipeline, s *Sink) engine.Topic {
	return engine.Topic(p.Name.Text + "." + s.Name.Text + ".outbox")
}

// noteEncoder writes notifications: the columns of a body only, where there is
// one. It keeps the priority of the last, for the header of its record, which is
// produced before the next is written.
type noteEncoder struct {
	codec.RowEncoder
	from, priority int
	level          int
}

func (e *noteEncoder) AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error) {
	e.level = max(0, slices.Index(operators.AlertLevels, cols[e.priority].Strs[row]))
	return e.RowEncoder.AppendRow(dst, cols[e.from:], row)
}

// Outbox is what the sender of an alert sink must know.
type Outbox struct {
	Pipeline, Sink string
	Kind           string // webhook or web_push
	Topic          engine.Topic
	Retry          outbox.Retry
	Errors         engine.ErrorPolicy // Of("send")

	URL     string // these are of a webhook
	Headers map[string]string
	Secrets []string
}

// Outboxes lists the outboxes of a pipeline's alert sinks.
func (p *Pipeline) Outboxes() []Outbox {
	var out []Outbox
	for _, s := range p.Sinks {
		if a := s.Alert; a != nil {
			out = append(out, Outbox{Pipeline: p.Name.Text, Sink: s.Name.Text, Kind: s.Kind, Topic: outboxTopic(p, s), Retry: a.Retry,
				Errors: policyOf(s.Errors, p.Errors), URL: a.URL.Text, Headers: a.Headers, Secrets: a.Secrets})
		}
	}
	return out
}
