package pipelines

import (
	"fmt"
	"slices"
	"sort"

	"github.com/leatstream/leat/engine"
)

// checked is what check found out about a pipeline: the streams behind its
// names. Build starts from it.
type checked struct {
	streams map[string]*stream // sources and transforms by name
	derived map[string]*derivation
	order   []*stream // transforms, inputs before their users
	sinks   map[*Sink]*stream
	names   []string // all input names, for suggestions
}

// check resolves names and types. It reports what it finds and never gives up:
// what depends on something broken is left alone.
func (l *loader) check(p *Pipeline) {
	k := &checker{
		loader: l, p: p, byName: map[string]*Transform{}, sides: map[string]*Transform{}, state: map[*Transform]int{},
		checked: &checked{streams: map[string]*stream{}, derived: map[string]*derivation{}, sinks: map[*Sink]*stream{}},
		compile: newCompiler(l, p, func(string) (string, bool) { return "secret", true }),
	}
	p.checked = k.checked
	k.declare()
	for i, t := range p.Transforms {
		k.resolve(t, i)
	}
	for _, s := range p.Sinks {
		k.sink(s)
	}
	k.files()
	k.errors()
	k.dashboard()
	l.checkTests(p)
	if l.diags.Errors() == 0 {
		k.lint()
	}
}

type checker struct {
	*loader
	*checked
	p       *Pipeline
	byName  map[string]*Transform
	sides   map[string]*Transform // by the names of their further outputs
	state   map[*Transform]int    // 1 being resolved, 2 done
	compile *compiler
}

// declare enters all names and the sources' schemas.
func (k *checker) declare() {
	seen := map[string]Word{}
	enter := func(w Word, what string) bool {
		if !w.Given() {
			return false
		}
		if before, again := seen[w.Text]; again {
			k.fail(w.node, "duplicate-name", "", "the name %q is taken in line %d", w.Text, before.Pos.Line)
			return false
		}
		seen[w.Text] = w
		return true
	}
	for _, s := range k.p.Sources {
		if enter(s.Name, "source") {
			k.streams[s.Name.Text] = k.source(s)
			k.names = append(k.names, s.Name.Text)
		}
	}
	for _, t := range k.p.Transforms {
		if enter(t.Name, "transform") {
			k.byName[t.Name.Text] = t
			k.names = append(k.names, t.Name.Text)
		}
		for _, w := range t.also {
			switch {
			case t.Step == nil || !slices.ContainsFunc(t.Step.sides(), func(s Word) bool { return s.Text == w.Text }): // broken
				if k.streams[w.Text] == nil {
					k.streams[w.Text] = &stream{name: w.Text, schema: engine.NewSchema(), step: t, broken: true}
				}
			case enter(w, "output"):
				k.sides[w.Text] = t
				k.names = append(k.names, w.Text)
			}
		}
	}
	for _, s := range k.p.Sinks {
		enter(s.Name, "sink")
	}
	for _, t := range k.p.Transforms {
		if t.Was.Given() {
			enter(t.Was, "former name")
		}
	}
}

// source makes the stream of a source and checks the columns that it names.
func (k *checker) source(s *Source) *stream {
	out := &stream{name: s.Name.Text, source: s, record: true, broken: s.broken, lists: map[string]engine.Type{}}
	var fields []engine.Field
	for _, c := range s.Columns {
		fields = append(fields, c.Field)
		if c.List {
			out.lists[c.Field.Name] = c.elem()
		}
	}
	fields = append(fields, out.ownColumns(fields)...)
	out.schema = engine.NewSchema(fields...)
	if s.broken {
		return out
	}
	if _, err := sourceDecoder(s, out.schema); err != nil {
		at := s.Format.node
		if at == nil {
			at = s.Name.node
		}
		k.fail(at, "format", "", "%s", err)
		out.broken = true
		return out
	}
	for _, w := range s.Key {
		if out.schema.Lookup(w.Text) < 0 {
			k.compile.unknownColumn(w, out)
			continue
		}
		out.key = append(out.key, w.Text)
	}
	if len(out.key) < len(s.Key) {
		out.key = nil
	}
	out.wire = out.key
	if s.table {
		out.table, out.timeless, out.record, out.history = true, true, false, s.History
		out.group, out.grouped, out.results = out.key, true, true
	}
	if s.EventTime.Given() {
		switch i := out.schema.Lookup(s.EventTime.Text); {
		case i < 0:
			k.compile.unknownColumn(s.EventTime, out)
		case fields[i].Type != engine.Timestamp:
			k.fail(s.EventTime.node, "type", fmt.Sprintf("declare it as timestamp, or timestamp(s): %s: timestamp", s.EventTime.Text),
				"column %q is %s, event time needs a timestamp", s.EventTime.Text, article(fields[i].Type.String()))
		}
	}
	return out
}

// resolve derives a transform's stream, its input first.
func (k *checker) resolve(t *Transform, index int) {
	if k.state[t] == 2 {
		return
	}
	k.state[t] = 1
	defer func() { k.state[t] = 2 }()
	var ins []*stream
	if v, ok := findVerb(t.Kind); !ok || !v.ownInputs {
		ins = append(ins, k.input(t.Input, t.node, index))
	}
	if t.Step != nil {
		for _, w := range t.Step.inputs() {
			ins = append(ins, k.named(w))
		}
	}
	for i, in := range ins {
		if in == nil {
			ins[i] = &stream{schema: engine.NewSchema(), broken: true}
		}
		ins[i].reads++
	}
	if len(ins) == 0 {
		ins = append(ins, &stream{schema: engine.NewSchema(), broken: true})
	}
	d := k.compile.derive(t, ins)
	for _, s := range d.sides {
		if k.sides[s.name] == t {
			k.streams[s.name] = s
		}
	}
	if !t.Name.Given() || k.byName[t.Name.Text] != t {
		return
	}
	if _, ok := t.Step.(unread); !ok {
		k.streams[t.Name.Text] = d.out
	}
	k.derived[t.Name.Text] = d
	k.order = append(k.order, d.out)
}

// input finds what a transform reads: what it names, the transform before it,
// or the only source. nil when that was reported.
func (k *checker) input(w Word, at *node, index int) *stream {
	if !w.Given() {
		if index > 0 {
			before := k.p.Transforms[index-1]
			if k.state[before] == 1 {
				k.fail(at, "unknown-name", "write input: …", "this transform would read its own result")
				return nil
			}
			if !before.Name.Given() {
				return nil
			}
			if u, ok := before.Step.(unread); ok {
				k.fail(at, "missing-key", "write input: …", "%s", u.unread())
				return nil
			}
			return k.streams[before.Name.Text]
		}
		return k.onlySource(at, "the first transform")
	}
	return k.named(w)
}

// named finds the stream of a name; nil when that was reported.
func (k *checker) named(w Word) *stream {
	if !w.Given() {
		return nil
	}
	if s := k.streams[w.Text]; s != nil {
		return s
	}
	t := k.byName[w.Text]
	if t == nil {
		t = k.sides[w.Text]
	}
	if t != nil {
		if k.state[t] == 1 {
			k.fail(w.node, "unknown-name", "", "%q reads its own result", w.Text)
			return nil
		}
		if k.state[t] == 0 {
			k.resolve(t, slices.Index(k.p.Transforms, t))
		}
		if s := k.streams[w.Text]; s != nil {
			return s
		}
		if u, ok := t.Step.(unread); ok {
			k.fail(w.node, "unknown-name", "", "%s", u.unread())
			return nil
		}
	}
	k.unknownInput(w)
	return nil
}

// unread is a step that has only side outputs: its own name cannot be read.
type unread interface{ unread() string }

// onlySource is the default input where no transform comes before.
func (k *checker) onlySource(at *node, who string) *stream {
	var found []*Source
	for _, s := range k.p.Sources {
		if !s.table && s.Name.Given() {
			found = append(found, s)
		}
	}
	if len(found) == 1 {
		return k.streams[found[0].Name.Text]
	}
	if len(found) == 0 && len(k.p.Sources) > 0 && k.p.Sources[0].Name.Given() {
		k.fail(at, "missing-key", "write input: "+k.p.Sources[0].Name.Text, "%s needs the key \"input\", as there are only tables", who)
	}
	if len(found) > 1 {
		k.fail(at, "missing-key", "write input: "+found[0].Name.Text, "%s needs the key \"input\", as there are several sources", who)
	}
	return nil
}

func (k *checker) unknownInput(w Word) {
	for _, s := range k.p.Sinks {
		if s.Name.Text == w.Text {
			k.fail(w.node, "unknown-name", "write what that sink reads", "%q is a sink: it cannot be read", w.Text)
			return
		}
	}
	// A step that could not be read may have had this name.
	for _, t := range k.p.Transforms {
		if !t.Name.Given() {
			return
		}
	}
	k.fail(w.node, "unknown-name", didYouMean(w.Text, k.names), "nothing is called %q", w.Text)
}

// sink checks what a sink reads and how it writes it.
func (k *checker) sink(s *Sink) {
	var in *stream
	switch {
	case s.Input.Given():
		if in = k.streams[s.Input.Text]; in == nil {
			k.unknownInput(s.Input)
		}
	case len(k.p.Transforms) > 0:
		last := k.p.Transforms[len(k.p.Transforms)-1]
		if u, ok := last.Step.(unread); ok {
			k.fail(s.node, "missing-key", "write input: …", "%s", u.unread())
		} else if last.Name.Given() {
			in = k.streams[last.Name.Text]
		}
	default:
		in = k.onlySource(s.node, "this sink")
	}
	if in == nil {
		return
	}
	in.reads++
	k.sinks[s] = in
	if in.broken || s.broken {
		return
	}
	switch {
	case s.Kafka != nil:
		k.kafkaSink(s, in)
	case s.Alert != nil:
		k.alertSink(s, in)
	case s.Lines != nil:
		k.onlyFinal(s.Lines.OnlyFinal, in)
	}
}

// files checks that no two sinks write one file: their lines would mix.
func (k *checker) files() {
	seen := map[string]*Sink{}
	for _, s := range k.p.Sinks {
		if s.Lines == nil || !s.Lines.Path.Given() {
			continue
		}
		if before := seen[s.Lines.Path.Text]; before != nil {
			k.fail(s.Lines.Path.node, "duplicate-name", "", "the sink %q writes this file already", before.Name.Text)
		}
		seen[s.Lines.Path.Text] = s
	}
}

func (k *checker) onlyFinal(w Word, in *stream) {
	if w.Given() && in.window == nil {
		k.fail(w.node, "value", "remove it", "only: final needs a window that closes, and %q has none", in.name)
	}
}

func (k *checker) kafkaSink(s *Sink, in *stream) {
	k.onlyFinal(s.Kafka.OnlyFinal, in)
	for _, w := range append(slices.Clone(s.Kafka.Key), s.Kafka.Drop...) {
		if in.schema.Lookup(w.Text) < 0 {
			k.compile.unknownColumn(w, in)
		}
	}
	if len(s.Kafka.Drop) >= len(in.schema.Fields) {
		k.fail(s.node, "value", "", "no column is left")
	} else {
		k.sinkFormat(s, in)
	}
	if !s.Kafka.HasKey && in.grouped && in.group == nil {
		k.fail(s.node, "missing-key", "write key: […]", "the map %q dropped a column of the key: this sink needs the key \"key\"", in.lostGroup)
	}
	for _, src := range k.p.Sources {
		for _, topic := range src.Topics {
			if topic.Text == s.Kafka.Topic.Text {
				k.warn(s.Kafka.Topic.node, "loop", "", "this topic is also read, by source %q: rows may go round for ever", src.Name.Text)
			}
		}
	}
}

// errors checks that dead letters have somewhere to go.
func (k *checker) errors() {
	need := func(e *Errors) {
		if e == nil || k.topicFor(e) {
			return
		}
		for stage, policy := range e.Policy {
			if policy == engine.DeadLetter {
				k.fail(e.node.get(string(stage)), "missing-key", "errors: {dead_letter: {topic: …}}", "dead letters have no topic")
			}
		}
		if e.All != nil && *e.All == engine.DeadLetter {
			k.fail(e.node.get("policy"), "missing-key", "errors: {dead_letter: {topic: …}}", "dead letters have no topic")
		}
	}
	need(k.p.Errors)
	for _, s := range k.p.Sources {
		need(s.Errors)
	}
	for _, s := range k.p.Sinks {
		need(s.Errors)
	}
	for _, t := range k.p.Transforms {
		need(t.Errors)
		late, ok := t.Step.(interface{ lateRows() Word })
		if ok && late.lateRows().Text == "dead_letter" && !k.topicFor(t.Errors) {
			k.fail(late.lateRows().node, "missing-key", "errors: {dead_letter: {topic: …}}", "dead letters have no topic")
		}
	}
}

func (k *checker) topicFor(e *Errors) bool {
	return (e != nil && e.Topic != "") || (k.p.Errors != nil && k.p.Errors.Topic != "")
}

// lint warns of what is allowed and rarely meant.
func (k *checker) lint() {
	k.lintSinks()
	for _, s := range k.p.Sources {
		if in := k.streams[s.Name.Text]; in != nil && in.reads == 0 && in.source == s {
			k.warn(s.Name.node, "unused", "", "nothing reads the source %q", s.Name.Text)
		}
	}
	for _, t := range k.p.Transforms {
		in := k.streams[t.Name.Text]
		if in == nil || in.step != t || in.broken {
			continue
		}
		if in.reads == 0 {
			k.warn(t.Name.node, "unused", "give it a sink, or remove it", "nothing reads the transform %q", t.Name.Text)
		}
		if step, ok := t.Step.(interface {
			lint(k *checker, d *derivation)
		}); ok {
			step.lint(k, k.derived[t.Name.Text])
		}
	}
}

// sourceNames lists the sources in order.
func (c *checked) sourceNames() []string {
	var out []string
	for name, s := range c.streams {
		if s.source != nil {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}
