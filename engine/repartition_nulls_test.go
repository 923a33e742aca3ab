package engine_test

import (
	"testing"

	"github.com/leatstream/leat/engine"
)

// TestRepartitionNulls: rows without a key are left out and counted, or go to
// one partition of the task's, without a key; the empty key is one.
func TestRepartitionNulls(t *testing.T) {
	schema := engine.NewSchema(engine.Field{Name: "k", Type: engine.String})
	b := &engine.Batch{Schema: schema, N: 3, Sel: []int32{0, 1, 2}, Cols: make([]engine.Column, 1), Time: make([]int64, 3)}
	b.Cols[0].Reset(engine.String, 3)
	b.Cols[0].Strs[0] = "a"
	b.Cols[0].SetNull(1, 3)
	for name, open := range map[string]func(*engine.Context) (engine.Operator, error){
		"left out": engine.RepartitionAs("t", schema, []int{0}, nil, 0),
		"sent":     engine.RepartitionNulls("t", schema, []int{0}, nil, 0),
	} {
		var sent []engine.Record
		nulls := 0
		op, err := open(&engine.Context{
			Task: 5, Partitions: func(engine.Topic) int { return 3 },
			Arena:   func(n int) []byte { return make([]byte, n) },
			Produce: func(r engine.Record) { sent = append(sent, r) },
			Count:   func(_ string, n int) { nulls += n },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := op.Process(b, nil); err != nil {
			t.Fatal(err)
		}
		if name == "left out" {
			if len(sent) != 2 || nulls != 1 {
				t.Errorf("%s: %d records, %d counted", name, len(sent), nulls)
			}
			continue
		}
		if len(sent) != 3 || nulls != 0 || sent[1].Key != nil || sent[1].Partition != 2 || sent[2].Key == nil {
			t.Errorf("%s: %v, %d counted", name, sent, nulls)
		}
	}
}
