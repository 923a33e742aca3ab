package pipelines

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
)

// joinStep brings the rows of two inputs together.
type joinStep struct {
	Kind   operators.JoinKind
	Other  Word
	stream bool // Other stands under stream, not under table
	Keys   []joinKey
	Before time.Duration
	After  time.Duration
	Grace  time.Duration
	Late   Word // drop or dead_letter
	LateAs Word // late rows of both sides are a stream of this name
	TTL    time.Duration
	Map    *mapStep

	form   joinForm
	right  []groupColumn
	joined *stream // the columns of both sides
	result *derivation
	left   sidePlan
	other  sidePlan
}

// joinKey is one column of a join's key.
type joinKey struct {
	Left  Group
	Right Word
}

// joinForm is what meets what.
type joinForm uint8

const (
	streamStream joinForm = iota
	streamTable
	tableTable
	foreignKey
)

// sidePlan is how the rows of one side come to where the other's are.
type sidePlan struct {
	reshard bool
	copies  bool     // to every partition
	by      []int    // which columns of the key decide the partition
	names   []string // what they are called on the wire
}

var joinKinds = map[string]operators.JoinKind{"inner": operators.InnerJoin, "left": operators.LeftJoin, "outer": operators.OuterJoin}

func readJoin(l *loader, t *Transform, f *fields) step {
	s := &joinStep{Map: l.mapping(f), Grace: l.span(f.get("grace"), 0), TTL: l.span(f.get("ttl"), time.Millisecond)}
	if v := f.get("kind"); v != nil {
		kind, _ := l.oneOf(v, "inner", "left", "outer")
		s.Kind = joinKinds[kind]
	}
	table, stream := f.get("table"), f.get("stream")
	switch {
	case table != nil && stream != nil:
		l.fail(stream, "value", "", "stream and table exclude each other")
	case table != nil:
		s.Other, _ = l.word(table)
	case stream != nil:
		s.Other, _ = l.word(stream)
		s.stream = true
	case !f.node.has("table") && !f.node.has("stream"):
		l.fail(f.node, "missing-key", "table: … or stream: …", "a join needs its right side")
	}
	s.Keys = l.joinKeys(f.get("key"))
	if v := f.get("within"); v != nil {
		if v.kind == mappingNode {
			if w := l.fields(v, mustKind("within", "")); w != nil {
				s.Before, s.After = l.span(w.get("before"), 0), l.span(w.get("after"), 0)
				w.done()
			}
		} else {
			s.Before = l.span(v, 0)
			s.After = s.Before
		}
	}
	s.Late, s.LateAs = l.late(f.get("late"))
	n := f.node
	for _, key := range []string{"within", "grace", "late"} {
		if n.has(key) && !s.stream && stream == nil && table != nil {
			l.fail(n.get(key), "value", "remove it", "%s is for joins of two streams", key)
		}
	}
	if s.stream && !n.has("within") {
		l.fail(n, "missing-key", "for example within: 5m, or within: {before: 1m, after: 10m}", "a join of two streams needs the key \"within\"")
	}
	return s
}

// joinKeys reads [user_id], {seller: id} and a list of {left, right}.
func (l *loader) joinKeys(n *node) []joinKey {
	if n == nil {
		return nil
	}
	var out []joinKey
	add := func(left, right *node) {
		w, ok := l.columnName(right)
		if !ok || left == nil || left.kind != scalarNode {
			return
		}
		g := Group{Name: lastSegment(w)}
		if barePattern.MatchString(left.text) {
			g.Column, _ = l.columnName(left)
			g.Name = lastSegment(g.Column)
		} else if g.Expr = l.expr(left); g.Expr == nil {
			return
		}
		out = append(out, joinKey{Left: g, Right: w})
	}
	switch n.kind {
	case mappingNode:
		for _, pr := range n.pairs {
			if pr.value != nil {
				add(pr.key, pr.value)
			}
		}
	case sequenceNode:
		for _, item := range n.items {
			if item.kind != mappingNode {
				add(item, item)
				continue
			}
			if len(item.pairs) == 1 && !item.has("left") && !item.has("right") {
				if pr := item.pairs[0]; pr.value != nil {
					add(pr.key, pr.value)
				}
				continue
			}
			if f := l.fields(item, mustKind("join key", "")); f != nil {
				if left, right := f.get("left"), f.get("right"); left != nil && right != nil {
					add(left, right)
				}
				f.done()
			}
		}
	default:
		l.fail(n, "type", "[user_id] or {seller: id}", "a join's key is a list of columns or a mapping left: right, not %s", n.what())
		return nil
	}
	if len(n.items) == 0 && len(n.pairs) == 0 {
		l.fail(n, "value", "", "a key needs at least one column")
	}
	return out
}

func (s *joinStep) inputs() []Word { return []Word{s.Other} }

func (s *joinStep) sides() []Word {
	if s.LateAs.Given() {
		return []Word{s.LateAs}
	}
	return nil
}

func (s *joinStep) lateRows() Word { return s.Late }

func (s *joinStep) derive(c *compiler, t *Transform, d *derivation) {
	left, right := d.in[0], d.in[1]
	if !s.keys(c, d) || !s.shape(c, t, d) {
		return
	}
	s.plan(d)
	s.joined = s.both(c, t, d)
	if s.joined == nil {
		return
	}
	// set, select and drop read the columns of both sides, and without select
	// only the left's go on.
	m := *s.Map
	m.hide = map[string]bool{}
	for _, f := range s.joined.schema.Fields[len(left.schema.Fields):] {
		m.hide[f.Name] = true
	}
	out := *s.joined
	s.result = &derivation{t: t, in: []*stream{s.joined}, out: &out, reads: map[string]bool{}}
	m.derive(c, t, s.result)
	if s.LateAs.Given() {
		s.lateStream(d)
	}
	name, inputs := d.out.name, d.out.inputs
	*d.out = out
	d.out.name, d.out.inputs, d.out.step = name, inputs, t
	if s.form == streamTable || s.form == streamStream {
		// Facts need no key: without the join's columns they have none.
		d.out.grouped = d.out.group != nil
		return
	}
	if d.out.group == nil || right.broken {
		c.l.fail(t.node, "missing-key", "keep the left's key among the columns", "the result is a table, and a column of its key was dropped")
	}
}

// lateStream is the late rows of both sides under one name: the left's columns
// bare, the right's as <name>.<column>, null in rows of the other side.
func (s *joinStep) lateStream(d *derivation) {
	side := d.side(s.LateAs)
	side.schema, side.lists, side.record = s.joined.schema, s.joined.lists, false
	side.key, side.wire, side.group, side.grouped = nil, nil, nil, false
	side.results, side.update, side.window, side.windowed = false, false, nil, false
}

// keys resolves the columns of the key on both sides.
func (s *joinStep) keys(c *compiler, d *derivation) bool {
	left, right := d.in[0], d.in[1]
	var groups []Group
	for _, k := range s.Keys {
		groups = append(groups, k.Left)
	}
	types := c.groups(groups, left, d)
	if len(types) != len(s.Keys) {
		return false
	}
	s.right = nil
	for i, k := range s.Keys {
		at := right.schema.Lookup(k.Right.Text)
		if at < 0 {
			c.unknownColumn(k.Right, right)
			return false
		}
		if rt := right.schema.Fields[at].Type; rt != types[i] {
			c.l.fail(k.Right.node, "type", "make them one type with a map before", "the key is %s on the left and %s in %q", article(types[i].String()), article(rt.String()), right.name)
			return false
		}
		s.right = append(s.right, groupColumn{name: k.Right.Text, word: k.Right, from: at})
	}
	return true
}

// shape finds out which kind of join it is, and whether it makes sense.
func (s *joinStep) shape(c *compiler, t *Transform, d *derivation) bool {
	left, right := d.in[0], d.in[1]
	fail := func(n *node, hint, format string, args ...any) bool {
		c.l.fail(n, "type", hint, format, args...)
		return false
	}
	switch {
	case s.stream && right.table:
		return fail(s.Other.node, "write table: "+right.name, "%q is a table", right.name)
	case !s.stream && !right.table:
		return fail(s.Other.node, "write stream: "+right.name+" with within: …, or make a table of it", "%q is a stream, not a table", right.name)
	case s.stream && left.table:
		return fail(t.node, "take its rows as facts: emit: close before it", "the left side %q is a table: it joins tables only", left.name)
	case s.stream:
		s.form = streamStream
		return true
	}
	names := plainNames(right, s.right)
	if !sameSet(names, right.identity()) && !sameSet(append(slices.Clone(names), windowEnd), right.identity()) {
		hint := "key: [" + strings.Join(right.identity(), ", ") + "]"
		return fail(s.Other.node, hint, "the key of a join names the whole key of the table, and that of %q is %v", right.name, right.identity())
	}
	if !left.table {
		s.form = streamTable
		if s.Kind == operators.OuterJoin {
			return fail(t.node, "inner or left", "a stream and a table have no outer join: the table's rows are no facts")
		}
		if s.TTL != 0 {
			return fail(t.node, "remove ttl", "ttl is for joins of two tables")
		}
		return true
	}
	s.form = tableTable
	mine := plainNames(left, d.group)
	if !sameSet(mine, left.identity()) && !sameSet(append(slices.Clone(mine), windowEnd), left.identity()) {
		s.form = foreignKey
		if s.Kind == operators.OuterJoin {
			return fail(t.node, "inner or left", "a join by a foreign key has no outer form")
		}
		if s.TTL != 0 {
			return fail(t.node, "remove ttl", "a join by a foreign key has no ttl")
		}
	}
	return true
}

func sameSet(a, b []string) bool {
	return len(a) == len(b) && contains(a, b) && contains(b, a)
}

// plan decides which side moves: none where rows of one key are in one
// partition already, else the one that is not where the other's key says.
func (s *joinStep) plan(d *derivation) {
	left, right := d.in[0], d.in[1]
	lnames, rnames := plainNames(left, d.group), plainNames(right, s.right)
	// where finds the columns of the key that decide a side's partition.
	where := func(in *stream, names []string) []int {
		if in.key == nil {
			return nil
		}
		by := []int{}
		for _, k := range in.key {
			i := slices.Index(names, k)
			if i < 0 {
				return nil
			}
			by = append(by, i)
		}
		return by
	}
	l, r := where(left, lnames), where(right, rnames)
	all := []int{}
	for i := range s.right {
		all = append(all, i)
	}
	s.left, s.other = sidePlan{}, sidePlan{}
	switch {
	case s.form == streamTable && right.source != nil && right.source.Broadcast:
		s.other = sidePlan{reshard: true, copies: true, by: all, names: rnames}
	case l != nil && r != nil && slices.Equal(l, r) && (len(l) <= 1 || slices.Equal(left.wire, right.wire)):
	case r != nil:
		s.left = sidePlan{reshard: true, by: r, names: right.wire}
	case l != nil:
		s.other = sidePlan{reshard: true, by: l, names: left.wire}
	default:
		s.left = sidePlan{reshard: true, by: all, names: rnames}
		s.other = sidePlan{reshard: true, by: all, names: rnames}
	}
	if s.form == foreignKey {
		s.left = sidePlan{reshard: true, by: all, names: rnames}
		if r == nil || !slices.Equal(r, all) {
			s.other = sidePlan{reshard: true, by: all, names: rnames}
		} else {
			s.other, s.left.names = sidePlan{}, right.wire
		}
	}
}

// both is the stream of the columns of both sides.
func (s *joinStep) both(c *compiler, t *Transform, d *derivation) *stream {
	left, right := d.in[0], d.in[1]
	prefix := s.Other.Text + "."
	fields := slices.Clone(left.schema.Fields)
	lists := without(left.lists, "")
	for _, f := range right.schema.Fields {
		name := prefix + f.Name
		if left.schema.Lookup(name) >= 0 || left.schema.Lookup(s.Other.Text) >= 0 {
			c.l.fail(s.Other.node, "duplicate-name", "rename the left's column with a map before", "the left has a column %q: %s would mean both", s.Other.Text, name)
			return nil
		}
		fields = append(fields, engine.Field{Name: name, Type: f.Type})
		if elem, list := right.lists[f.Name]; list {
			lists[name] = elem
		}
	}
	j := *left
	j.name, j.source, j.step, j.inputs, j.main = t.Name.Text, nil, t, d.in, nil
	j.schema, j.lists, j.record = engine.NewSchema(fields...), lists, false
	j.results, j.update, j.window, j.timeless = false, false, nil, left.timeless && right.timeless
	names := plainNames(left, d.group)
	if s.left.reshard && s.form != foreignKey {
		j.key, j.wire = []string{}, s.left.names
		for _, i := range s.left.by {
			if names[i] == "" {
				j.key = nil
				break
			}
			j.key = append(j.key, names[i])
		}
	}
	switch s.form {
	case streamStream, streamTable:
		j.group, j.grouped, j.lostGroup = names, true, ""
		if slices.Contains(names, "") {
			j.group, j.grouped = nil, false
		}
	case foreignKey:
		j.key, j.wire, j.results = left.group, left.group, true
	default:
		j.results = true
	}
	return &j
}

func (s *joinStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	if s.result == nil {
		return
	}
	left, right := d.in[0], d.in[1]
	read := func(i int) {
		if n := len(left.schema.Fields); i < n {
			want(left, left.schema.Fields[i].Name)
		} else {
			want(right, right.schema.Fields[i-n].Name)
		}
	}
	for name := range s.read(need) {
		read(s.joined.schema.Lookup(name))
	}
	if s.LateAs.Given() {
		for name := range need {
			if i := s.joined.schema.Lookup(name); i >= 0 {
				read(i)
			}
		}
	}
	for _, g := range s.right {
		want(right, right.schema.Fields[g.from].Name)
	}
	for _, in := range []*stream{left, right} {
		if in.table {
			for _, name := range in.identity() {
				want(in, name)
			}
		}
	}
}

// read is the columns of both sides that the result is made of, where those in
// need are read of it.
func (s *joinStep) read(need map[string]bool) map[string]bool {
	out := maps.Clone(s.result.reads)
	for _, col := range s.result.columns {
		if col.from >= 0 && need[col.field.Name] {
			out[s.joined.schema.Fields[col.from].Name] = true
		}
	}
	return out
}

// stride is how finely time matters to unmatched rows.
func (s *joinStep) stride() time.Duration {
	if s.form != streamStream {
		return 0
	}
	return max(s.Before+s.After, time.Millisecond)
}

// lint warns of what is rarely meant.
func (s *joinStep) lint(k *checker, d *derivation) {
	s.lintTable(k, d)
	if s.form == tableTable && s.TTL == 0 {
		k.warn(d.t.Name.node, "kept-keys", "give it a ttl, where keys fall out of use", "%q keeps a row of both tables for each key until they delete it", d.out.name)
	}
	if s.form == streamStream && s.Kind != operators.InnerJoin {
		for _, in := range d.in {
			k.lintIdle(d.t.node, in)
		}
	}
}
