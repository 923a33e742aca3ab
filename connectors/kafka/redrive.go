package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kadm"
)

// Redrive says which dead letters go back to where they came from.
type Redrive struct {
	Topic engine.Topic // of the dead letters
	Group string       // remembers how far it has been sent; Topic + ".redrive" where empty
	Stage string       // only those of this stage; "": all
	To    engine.Topic // in place of the topic they came from
	Limit int          // the most that are sent; 0: all that are there
	Dry   bool         // nothing is sent or remembered
	// Each is told of every letter: sent, or why it was passed over.
	Each func(r engine.Record, from engine.TopicPartition, at engine.Offset, why string)
}

// Redriven counts what a Redrive did.
type Redriven struct{ Sent, Skipped int }

// Redrive sends the dead letters of a topic, from where the group's last redrive
// ended to the topic's end as of now, back to the topics they came from: key,
// value and the record's own headers, with leat.redriven beside them. Letters
// whose value was left out or cut are passed over, as are those of another
// stage. Sending comes before remembering: a crash in between sends again.
func (c *Cluster) Redrive(ctx context.Context, o Redrive) (Redriven, error) {
	var done Redriven
	if o.Group == "" {
		o.Group = string(o.Topic) + ".redrive"
	}
	infos, err := c.Topics(ctx, o.Topic)
	if err != nil {
		return done, err
	}
	if !infos[o.Topic].Exists {
		return done, &engine.Error{Kind: engine.Environment, Op: "redrive", Topic: o.Topic, Offset: -1, Err: fmt.Errorf("there is no such topic")}
	}
	committed, err := c.GroupOffsets(ctx, o.Group)
	if err != nil {
		return done, err
	}
	for p := range infos[o.Topic].Partitions {
		tp := engine.TopicPartition{Topic: o.Topic, Partition: engine.Partition(p)}
		from := engine.Offset(-1)
		if at, ok := committed[tp]; ok {
			from = at.Offset
		}
		end := from
		_, err := c.Read(ctx, tp, from, func(rows *engine.Rows) error {
			var send []engine.Record
			for i := range rows.Len() {
				if o.Limit > 0 && done.Sent >= o.Limit {
					break
				}
				end = engine.Offset(rows.Offsets[i] + 1)
				r, why := letter(rows, i, o)
				if o.Each != nil {
					o.Each(r, tp, engine.Offset(rows.Offsets[i]), why)
				}
				if why != "" {
					done.Skipped++
					continue
				}
				done.Sent++
				send = append(send, r)
			}
			if o.Dry || len(send) == 0 {
				return nil
			}
			return c.Produce(ctx, send)
		})
		if err != nil {
			return done, err
		}
		if o.Dry || end == from {
			continue
		}
		var offsets kadm.Offsets
		offsets.AddOffset(string(o.Topic), int32(p), int64(end), -1)
		if _, err := c.adm.CommitOffsets(ctx, o.Group, offsets); err != nil {
			return done, c.cfg.fail("remember how far dead letters were sent", err)
		}
	}
	return done, nil
}

// letter is the record that a dead letter was, or why it cannot be sent.
func letter(rows *engine.Rows, i int, o Redrive) (r engine.Record, why string) {
	meta := map[string]string{}
	for _, h := range rows.Headers(i) {
		if name, ok := strings.CutPrefix(h.Key, "leat.error."); ok {
			meta[name] = string(h.Value)
			continue
		}
		if h.Key != redriven {
			r.Headers = append(r.Headers, engine.Header{Key: h.Key, Value: slices.Clone(h.Value)})
		}
	}
	r.Headers = append(r.Headers, engine.Header{Key: redriven, Value: strconv.AppendInt(nil, rows.Offsets[i], 10)})
	r.Key, r.Value = slices.Clone(rows.Keys[i]), slices.Clone(rows.Values[i])
	r.Topic = engine.Topic(meta["topic"])
	if o.To != "" {
		r.Topic = o.To
	}
	partition, err := strconv.ParseInt(meta["partition"], 10, 32)
	if ts, tsErr := strconv.ParseInt(meta["timestamp"], 10, 64); tsErr == nil {
		r.Time = ts
	}
	switch {
	case meta["stage"] == "":
		return r, "it is no dead letter: it has no leat.error headers"
	case o.Stage != "" && meta["stage"] != o.Stage:
		return r, "its stage is " + meta["stage"]
	case r.Topic == "" || err != nil && o.To == "":
		return r, "it says not where it came from: it was made behind a repartition or an aggregate"
	case meta["truncated"] != "":
		return r, "it was cut"
	case rows.Values[i] == nil && meta["stage"] != "decode":
		return r, "its value was left out (include_value: false)"
	}
	r.Partition = engine.Partition(partition)
	return r, ""
}

// redriven is the header of a record that came back from the dead letters: the
// offset that it had there.
const redriven = "leat.redriven"
