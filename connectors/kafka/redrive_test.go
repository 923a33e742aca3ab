package kafka

import (
	"fmt"
	"testing"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
)

// TestRedrive sends dead letters back once, those that can be.
func TestRedrive(t *testing.T) {
	w := newWorld(t, 2, embedded.Options{})
	ctx := timeout(t)
	letter := func(value string, headers ...string) engine.Record {
		r := engine.Record{Topic: "log", Key: []byte("k"), Value: []byte(value), Headers: []engine.Header{{Key: "own", Value: []byte("h")}}}
		for i := 0; i < len(headers); i += 2 {
			r.Headers = append(r.Headers, engine.Header{Key: "leat.error." + headers[i], Value: []byte(headers[i+1])})
		}
		return r
	}
	err := w.cluster.Produce(ctx, []engine.Record{
		letter("a", "stage", "expression", "topic", "in", "partition", "1", "timestamp", "1000"),
		letter("b", "stage", "late", "topic", "in", "partition", "0", "timestamp", "2000"),
		letter("cut", "stage", "produce", "topic", "in", "partition", "0", "truncated", "true"),
		letter("row", "stage", "aggregate"),
		letter("no letter"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	each := func(r engine.Record, _ engine.TopicPartition, at engine.Offset, why string) {
		said = append(said, fmt.Sprintf("%d %s: %s", at, r.Value, why))
	}
	for _, c := range []struct {
		o    Redrive
		want Redriven
	}{
		{Redrive{Topic: "log", Dry: true, Each: each}, Redriven{2, 3}},
		{Redrive{Topic: "log", Stage: "expression", Limit: 1}, Redriven{1, 0}},
		{Redrive{Topic: "log"}, Redriven{1, 3}},
		{Redrive{Topic: "log"}, Redriven{}},
	} {
		got, err := w.cluster.Redrive(ctx, c.o)
		if err != nil || got != c.want {
			t.Errorf("%+v: %+v, %v, want %+v\n%q", c.o, got, err, c.want, said)
		}
	}
	var got []string
	for p := range engine.Partition(2) {
		_, err := w.cluster.Read(ctx, engine.TopicPartition{Topic: "in", Partition: p}, -1, func(rows *engine.Rows) error {
			for i := range rows.Len() {
				text := fmt.Sprintf("%d@%d %s=%s", p, rows.Times[i], rows.Keys[i], rows.Values[i])
				for _, h := range rows.Headers(i) {
					text += fmt.Sprintf(" %s=%s", h.Key, h.Value)
				}
				got = append(got, text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"0@2000 k=b own=h leat.redriven=1", "1@1000 k=a own=h leat.redriven=0"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := w.cluster.Redrive(ctx, Redrive{Topic: "nowhere"}); engine.KindOf(err) != engine.Environment {
		t.Errorf("no topic: %v", err)
	}
}
