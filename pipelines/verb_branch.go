package pipelines

import (
	"fmt"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// branchStep sends each row to the first case that takes it.
type branchStep struct {
	name    string
	Cases   []branchCase
	Default Word

	whens []*expr.Program
}

type branchCase struct {
	When *Expr
	As   Word
}

func readBranch(l *loader, t *Transform, f *fields) step {
	s := &branchStep{name: t.Name.Text}
	for _, item := range l.list(f.get("cases"), "cases") {
		c := l.fields(item, mustKind("case", ""))
		if c == nil {
			continue
		}
		one := branchCase{When: l.expr(c.get("when")), As: l.name(c.get("as"))}
		c.done()
		if one.When != nil && one.As.Given() {
			s.Cases = append(s.Cases, one)
		}
	}
	if v := f.get("cases"); v != nil && v.kind == sequenceNode && len(v.items) == 0 {
		l.fail(v, "value", "for example [{when: amount > 100, as: large}]", "at least one case is needed")
	}
	if v := f.get("default"); v != nil {
		s.Default = l.name(v)
	}
	return s
}

func (*branchStep) inputs() []Word { return nil }

func (s *branchStep) sides() []Word {
	var out []Word
	for _, c := range s.Cases {
		out = append(out, c.As)
	}
	if s.Default.Given() {
		out = append(out, s.Default)
	}
	return out
}

// unread: what follows a branch says which case it reads.
func (s *branchStep) unread() string {
	example := ""
	if len(s.Cases) > 0 {
		example = ": " + s.Cases[0].As.Text + ", …"
	}
	return fmt.Sprintf("the branch %q has one output for each case, none of its own%s", s.name, example)
}

func (s *branchStep) derive(c *compiler, _ *Transform, d *derivation) {
	for _, one := range s.Cases {
		s.whens = append(s.whens, c.condition(one.When, d.in[0].scope(), d))
		d.side(one.As)
	}
	if s.Default.Given() {
		d.side(s.Default)
	}
}

func (s *branchStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	passOn(d.in[0], need, want)
}

func (s *branchStep) build(b *builder, d *derivation, at []place) (place, error) {
	var whens []*expr.Program
	for _, w := range s.whens {
		p, err := b.again(w, at[0])
		if err != nil {
			return place{}, err
		}
		whens = append(whens, p)
	}
	next := b.add(at[0], d.out, "branch", &engine.NodeSpec{Schema: at[0].schema, Table: d.out.table, New: operators.Branch(whens)})
	for i, side := range d.sides {
		p := next
		p.port, p.lists = i, side.lists
		b.places[side] = p
	}
	return next, nil
}
