package expr

import "github.com/leatstream/leat/engine"

// ofRecord makes a function of the source record behind a row: there is one
// only up to and in the arguments of the first keyed transform.
func ofRecord(t typ, get func(r *engine.Rows, row int32, arg string, s *scratch, i int32, n int)) func(*compiler, call) (*node, error) {
	return func(c *compiler, k call) (*node, error) {
		if !c.env.Record {
			return nil, k.at.errorf("take it into a column with a map before", "%s() is known only up to the first keyed transform", k.name)
		}
		arg := ""
		if len(k.args) > 0 {
			a := k.args[0]
			if a.konst == nil || a.t != tString {
				return nil, a.at.errorf(k.usage, "%s() takes a constant text", k.name)
			}
			arg = a.konst.text
		}
		var s scratch
		return &node{t: t, record: true, eval: func(f *frame, sel []int32) *engine.Column {
			s.reset(t.k, f.n)
			for _, i := range sel {
				if f.b.Src == nil {
					s.setNull(i, f.n)
					continue
				}
				get(f.b.Src, f.root(i), arg, &s, i, f.n)
			}
			return &s.Column
		}}, nil
	}
}

func recordKey(r *engine.Rows, row int32, _ string, s *scratch, i int32, n int) {
	if r.Keys == nil || r.Keys[row] == nil {
		s.setNull(i, n)
		return
	}
	s.Strs[i] = string(r.Keys[row])
}

func recordTopic(r *engine.Rows, _ int32, _ string, s *scratch, i int32, _ int) {
	s.Strs[i] = string(r.Topic)
}

func recordPartition(r *engine.Rows, _ int32, _ string, s *scratch, i int32, _ int) {
	s.Ints[i] = int64(r.Partition)
}

func recordOffset(r *engine.Rows, row int32, _ string, s *scratch, i int32, _ int) {
	s.Ints[i] = r.Offsets[row]
}

func recordTime(r *engine.Rows, row int32, _ string, s *scratch, i int32, _ int) {
	s.Ints[i] = r.Times[row]
}

// recordHeader is the last header of a name, as Kafka's lastHeader.
func recordHeader(r *engine.Rows, row int32, name string, s *scratch, i int32, n int) {
	if r.Headers != nil {
		headers := r.Headers(int(row))
		for h := len(headers) - 1; h >= 0; h-- {
			if headers[h].Key == name && headers[h].Value != nil {
				s.Strs[i] = string(headers[h].Value)
				return
			}
		}
	}
	s.setNull(i, n)
}

// ChangeColumn is the column that op() reads: what a change event did to its
// row. A schema has it where rows are such changes.
const ChangeColumn = "__op"

// changeOp makes op().
func changeOp(c *compiler, k call) (*node, error) {
	if c.env.Schema == nil || c.env.Schema.Lookup(ChangeColumn) < 0 {
		return nil, k.at.errorf("take it into a column with a map before", "op() is known only of rows of a source with envelope: debezium")
	}
	return c.identifier(ChangeColumn, k.at)
}
