package engine

import (
	"fmt"
	"slices"
)

// produce adds a record to the transaction after checking what the broker
// would refuse: a refused record would otherwise abort the same transaction
// for ever.
func (t *Task) produce(n *NodeSpec, r Record) {
	if t.env.Limits != nil {
		if t.limited != r.Topic {
			t.limited, t.limits = r.Topic, t.env.Limits(r.Topic)
		}
		l := &t.limits
		if *l != (Limits{}) && !l.LogAppendTime {
			r.Time = l.clamp(r.Time, t.clock())
		}
		if size := len(r.Key) + len(r.Value); l.MaxBytes > 0 && size+recordSlack > l.MaxBytes {
			t.tooLarge(n, r, size, l.MaxBytes)
			return
		}
	}
	if len(t.out) == cap(t.out) {
		t.out = slices.Grow(t.out, max(1024, len(t.out))) // append would copy more often
	}
	t.out = append(t.out, r)
	t.outSize += len(r.Key) + len(r.Value)
	if !internalTopic(r.Topic) {
		t.Stats.pendingOut++
	}
}

// clock is the time of about now, epoch ms: asked for once in some records, as
// bounds of timestamps are hours.
func (t *Task) clock() int64 {
	if t.asOf == 0 || len(t.out)%256 == 0 {
		t.asOf = t.env.Now()
	}
	return t.asOf
}

// recordSlack is what framing and our headers add to a record.
const recordSlack = 512

// tooLarge applies the policy for produce errors to a record that the broker
// would refuse. fail is remembered: the task stops at its next Prepare.
func (t *Task) tooLarge(n *NodeSpec, r Record, size, limit int) {
	cause := fmt.Errorf("a record of %d bytes is too large for topic %s (max.message.bytes %d)", size, r.Topic, limit)
	b := &Batch{Src: &Rows{Topic: r.Topic, Partition: r.Partition, Keys: [][]byte{r.Key}, Values: [][]byte{r.Value}, Offsets: []int64{-1}, Times: []int64{r.Time}}}
	if err := t.bad(n.Name, n.Errors, StageProduce, b, 0, cause); err != nil && t.refused == nil {
		t.refused = err
	}
}

// clamp keeps a timestamp inside what the broker accepts, five minutes off
// the edge because its clock is not ours. 0 (append time) stays.
func (l Limits) clamp(ts, now int64) int64 {
	const slackMs = 5 * 60 * 1000
	if ts <= 0 {
		return ts
	}
	if l.AfterMax > 0 && l.AfterMax < MaxTime/2 && ts > now+l.AfterMax-slackMs {
		return now + max(0, l.AfterMax-slackMs)
	}
	if l.BeforeMax > 0 && l.BeforeMax < MaxTime/2 && ts < now-l.BeforeMax+slackMs {
		return now - max(0, l.BeforeMax-slackMs)
	}
	return ts
}
