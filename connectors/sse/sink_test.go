package sse

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/engine"
)

// TestSink is the manual of the writer: rows in, records of the view out.
//
//	sink [windowed] [stream] [key=country] [refresh=1s] [history=1m] [max-keys=2] [max-rows=2]
//	rows now=1s [watermark=…] [final] ; one JSON row a line, before it + (insert),
//	                                    ~ old => new (update) or - (delete) in a table
//	flush now=1s [all]
//	rollback / commit / restart         restart makes a new sink from Remember
func TestSink(t *testing.T) {
	var (
		op        engine.Operator
		spec      engine.ViewSpec
		out       []string
		now       int64
		watermark = engine.MinTime
		saved     []byte
		counts    = map[string]int{}
		offset    int64
	)
	schema := engine.NewSchema(engine.Field{Name: "country", Type: engine.String}, engine.Field{Name: "n", Type: engine.Int},
		engine.Field{Name: "x", Type: engine.Any}, engine.Field{Name: "window_end", Type: engine.Timestamp})
	ctx := &engine.Context{Pipeline: "orders", Name: "board", Task: 3, Now: func() int64 { return now },
		Watermark: func() int64 { return watermark },
		Arena:     func(n int) []byte { return make([]byte, n) },
		Count:     func(name string, n int) { counts[name] += n },
		Stats: func() engine.TaskSnapshot {
			return engine.TaskSnapshot{Watermark: watermark, LagRecords: 7, Late: 1, Holding: "orders/3"}
		},
		Produce: func(r engine.Record) {
			value := "tombstone"
			if r.Value != nil {
				value = string(r.Value)
			}
			out = append(out, fmt.Sprintf("%s/%d %q %s", r.Topic, r.Partition, r.Key, value))
		}}
	open := func(t *testing.T) {
		var err error
		if op, err = Sink(SinkSpec{View: spec})(ctx); err != nil {
			t.Fatal(err)
		}
	}
	show := func() string {
		defer func() { out, counts = nil, map[string]int{} }()
		for name, n := range counts {
			out = append(out, fmt.Sprintf("count %s %d", name, n))
		}
		sort.Strings(out[len(out)-len(counts):])
		if len(out) == 0 {
			return "nothing\n"
		}
		return strings.Join(out, "\n") + "\n"
	}
	datadriven.RunTest(t, "testdata/sink", func(t *testing.T, d *datadriven.TestData) string {
		if d.HasArg("now") {
			now = duration(t, d, "now").Milliseconds()
		}
		if d.HasArg("watermark") {
			watermark = duration(t, d, "watermark").Milliseconds()
		}
		switch d.Cmd {
		case "sink":
			now, watermark = 0, engine.MinTime
			spec = engine.ViewSpec{Name: "orders/board", Topic: "view", Windowed: d.HasArg("windowed"), Stream: d.HasArg("stream")}
			for _, a := range d.CmdArgs {
				switch a.Key {
				case "key":
					spec.KeyColumns = a.Vals
				case "columns":
					for _, c := range a.Vals {
						spec.Columns = append(spec.Columns, engine.ViewColumn{Name: c})
					}
				case "refresh":
					spec.Refresh = duration(t, d, "refresh")
				case "history":
					spec.History = duration(t, d, "history")
				case "max-keys":
					d.ScanArgs(t, "max-keys", &spec.MaxKeys)
				case "max-rows":
					d.ScanArgs(t, "max-rows", &spec.MaxRows)
				}
			}
			open(t)
			return ""
		case "rows":
			b := batchOf(t, schema, d.Input)
			if d.HasArg("final") {
				b.Final = make([]bool, b.N)
				for i := range b.Final {
					b.Final[i] = true
				}
			} else if spec.Windowed {
				b.Final = make([]bool, b.N)
			}
			if spec.Stream {
				b.Src = &engine.Rows{Topic: "orders", Partition: 1}
				for range b.N {
					b.Src.Offsets = append(b.Src.Offsets, offset)
					b.Time = append(b.Time, 1000+offset)
					offset++
				}
			}
			if err := op.Process(b, nil); err != nil {
				return err.Error() + "\n"
			}
			return show()
		case "flush":
			if err := op.(engine.Flusher).Flush(now, d.HasArg("all"), nil); err != nil {
				d.Fatalf(t, "%v", err)
			}
			return show()
		case "commit":
			saved = append([]byte(nil), op.(engine.Rememberer).Remember()...)
			op.(engine.Undoer).Committed()
			return ""
		case "rollback", "restart":
			if d.Cmd == "restart" {
				open(t)
			}
			if err := op.(engine.Rememberer).Recall(saved); err != nil {
				d.Fatalf(t, "%v", err)
			}
			op.(engine.Undoer).RolledBack()
			return ""
		}
		d.Fatalf(t, "no command %q", d.Cmd)
		return ""
	})
}

// batchOf reads rows as text; see TestSink.
func batchOf(t *testing.T, schema *engine.Schema, text string) *engine.Batch {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	b := &engine.Batch{Schema: schema, N: len(lines)}
	b.Cols, b.Old = columns(schema, b.N), columns(schema, b.N)
	table := false
	for i, line := range lines {
		b.Sel = append(b.Sel, int32(i))
		op := engine.Insert
		switch line[0] {
		case '-':
			op, table = engine.Delete, true
			fill(t, b.Schema, b.Old, i, line[1:])
		case '~':
			op, table = engine.Update, true
			was, is, _ := strings.Cut(line[1:], "=>")
			fill(t, b.Schema, b.Old, i, was)
			fill(t, b.Schema, b.Cols, i, is)
		default:
			table = table || line[0] == '+'
			fill(t, b.Schema, b.Cols, i, strings.TrimPrefix(line, "+"))
		}
		b.Op = append(b.Op, op)
	}
	if !table {
		b.Op, b.Old = nil, nil
	}
	return b
}

func columns(schema *engine.Schema, n int) []engine.Column {
	cols := make([]engine.Column, len(schema.Fields))
	for i, f := range schema.Fields {
		cols[i].Reset(f.Type, n)
		cols[i].Nulls = make([]bool, n)
	}
	return cols
}

func fill(t *testing.T, schema *engine.Schema, cols []engine.Column, i int, text string) {
	var row map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for c, f := range schema.Fields {
		raw, ok := row[f.Name]
		col := &cols[c]
		switch {
		case !ok || string(raw) == "null":
			col.Nulls[i] = true
		case f.Type == engine.String || f.Type == engine.Any && raw[0] == '"':
			_ = json.Unmarshal(raw, &col.Strs[i])
		case f.Type == engine.Any:
			col.Strs[i] = string(raw)
		default:
			if err := json.Unmarshal(raw, &col.Ints[i]); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
		}
	}
}

// What Remember gives back must be what Recall takes, and cut bytes are an error.
func TestRecallOfCutBytes(t *testing.T) {
	op, err := Sink(SinkSpec{View: engine.ViewSpec{Topic: "v"}})(&engine.Context{})
	if err != nil {
		t.Fatal(err)
	}
	s := op.(*sink)
	s.hold("key", []byte(`{"n":1}`))
	s.hold("other", []byte(`{}`))
	whole := s.Remember()
	for n := range whole {
		_ = s.Recall(whole[:n]) // must not panic
	}
	if err := s.Recall(whole); err != nil || len(s.pending) != 2 || string(s.pending["key"]) != `{"n":1}` {
		t.Fatalf("%v: %v", err, s.pending)
	}
	if s.Recall(whole[:len(whole)-1]) == nil {
		t.Error("cut bytes were taken")
	}
}
