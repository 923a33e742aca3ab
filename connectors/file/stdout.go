package file

import (
	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/engine"
)

// Stdout is the stdout sink: one JSON object per row and line; a delete is
// {"key": …, "deleted": true}, where key holds the columns of keyCols (all
// columns where there are none).
func Stdout(sink string, schema *engine.Schema, keyCols []int, onlyFinal bool) func(*engine.Context) (engine.Operator, error) {
	return lines(engine.StdoutTopic(sink), schema, keyCols, onlyFinal)
}

// File is the file sink: the same lines, for the file that the worker has open
// under engine.FileTopic(sink).
func File(sink string, schema *engine.Schema, keyCols []int, onlyFinal bool) func(*engine.Context) (engine.Operator, error) {
	return lines(engine.FileTopic(sink), schema, keyCols, onlyFinal)
}

func lines(topic engine.Topic, schema *engine.Schema, keyCols []int, onlyFinal bool) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		return &liner{topic: topic, ctx: ctx, schema: schema, key: keyCols, onlyFinal: onlyFinal,
			encoder: codec.NewEncoder(schema, codec.EncoderOptions{})}, nil
	}
}

type liner struct {
	topic     engine.Topic
	ctx       *engine.Context
	schema    *engine.Schema
	key       []int
	onlyFinal bool
	encoder   *codec.Encoder
}

// Process makes one line per row.
func (s *liner) Process(b *engine.Batch, _ engine.Emit) error {
	for _, i := range b.Sel {
		if s.onlyFinal && b.Final != nil && !b.Final[i] {
			continue
		}
		var line []byte
		if b.Op != nil && b.Op[i] == engine.Delete {
			line = s.deleted(b, i)
		} else {
			line = s.encoder.AppendRow(nil, b.Cols, i)
		}
		s.ctx.Produce(engine.Record{Topic: s.topic, Value: line, Time: b.Time[i]})
	}
	return nil
}

func (s *liner) deleted(b *engine.Batch, i int32) []byte {
	key := s.key
	if key == nil {
		for c := range s.schema.Fields {
			key = append(key, c)
		}
	}
	line := append([]byte(nil), `{"key":{`...)
	for n, c := range key {
		if n > 0 {
			line = append(line, ',')
		}
		line = engine.AppendString(line, s.schema.Fields[c].Name)
		line = append(line, ':')
		line = engine.AppendJSON(line, &b.Old[c], i, engine.ValueStyle{})
	}
	return append(line, `},"deleted":true}`...)
}
