package outbox

import (
	"strconv"

	"github.com/leatstream/leat/engine"
)

// letter is the dead letter of a note, as the engine's are: what it was, and
// headers that say why and where. leat redrive puts it back into the outbox.
func (s *Sender) letter(n *Note, reason string) engine.Record {
	r := engine.Record{Topic: s.c.Errors.Topic, Key: n.Key, Value: n.Value}
	if s.c.DeadPartitions > 0 {
		r.Partition = n.Partition % engine.Partition(s.c.DeadPartitions)
	}
	if !s.c.Errors.IncludeValue {
		r.Value = nil
	}
	const mostReason = 1024 // bytes
	if len(reason) > mostReason {
		reason = reason[:mostReason] + "…"
	}
	for _, h := range n.Headers {
		if h.Key != IDHeader {
			r.Headers = append(r.Headers, h)
		}
	}
	r.Headers = append(r.Headers,
		engine.Header{Key: IDHeader, Value: []byte(n.ID)},
		engine.Header{Key: "leat.error.stage", Value: []byte(engine.StageSend)},
		engine.Header{Key: "leat.error.reason", Value: []byte(reason)},
		engine.Header{Key: "leat.error.pipeline", Value: []byte(s.c.Pipeline)},
		engine.Header{Key: "leat.error.transform", Value: []byte(s.c.Sink)},
		engine.Header{Key: "leat.error.topic", Value: []byte(n.Topic)},
		engine.Header{Key: "leat.error.partition", Value: strconv.AppendInt(nil, int64(n.Partition), 10)},
		engine.Header{Key: "leat.error.offset", Value: strconv.AppendInt(nil, int64(n.Offset), 10)},
		engine.Header{Key: "leat.error.timestamp", Value: strconv.AppendInt(nil, n.Time, 10)})
	return r
}

// short is a letter that the broker found too large, without what makes it so.
func short(r engine.Record) engine.Record {
	if r.Value == nil {
		return r
	}
	r.Value = nil
	headers := make([]engine.Header, 0, len(r.Headers)+1)
	r.Headers = append(append(headers, r.Headers...), engine.Header{Key: "leat.error.truncated", Value: []byte("true")})
	return r
}
