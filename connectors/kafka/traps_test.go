package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Each test here is a way in which a transactional consumer loses or repeats
// records, or lets a zombie write. They were first shown with the client alone.

// deaf is a lane that does not hear from the group during a test.
func deaf(cfg *Config, _ *SessionConfig) {
	cfg.SessionTimeout, cfg.HeartbeatInterval = 60*time.Second, 50*time.Second
}

// unfenced is a lane that leaves the transactions of the dead alone.
func unfenced(_ *Config, sc *SessionConfig) {
	sc.Fence = func(context.Context, []string) error { return nil }
}

// evict removes a lane's member from the group, as a session timeout would.
func (w *world) evict(l *lane) {
	w.t.Helper()
	id, _ := l.cl.GroupMetadata()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = "g", id
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = id
	req.Members = append(req.Members, m)
	resp, err := req.RequestWith(context.Background(), w.side)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// A lane that lost its partitions closes a window by the clock: it has read
// nothing, and the client by itself would commit without any check.
func TestZombieTimerIsFenced(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	w.putN("in", 0, 0, 3)
	a := w.lane("a", deaf)
	a.read(3)
	a.begin()
	a.produce("out", "first")
	a.mustCommit()
	a.poll() // holds rebalances back: the client cannot learn anything
	w.evict(a)
	b := w.lane("b", unfenced)
	b.own(1)

	a.begin()
	a.produce("out", "window closed by a zombie")
	outcome, err := a.commit()
	if outcome != engine.LostLease || err != nil {
		t.Fatalf("the zombie's commit: %s, %v", outcomeName(outcome), err)
	}
	if _, owned := a.Assignment(); len(owned) != 0 {
		t.Fatalf("the zombie still claims %v", owned)
	}
	w.wantVisible("out", "first")
	w.wantGroup(0, 3, "a#1")
}

// Records without an offset are refused: they would not be checked.
func TestCommitNeedsAnOffset(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	a := w.lane("a")
	a.own(1)
	a.begin()
	a.produce("out", "x")
	if outcome, err := a.End(context.Background(), true, 1, nil); outcome != engine.Aborted || err == nil {
		t.Fatalf("%s, %v", outcomeName(outcome), err)
	}
	w.wantVisible("out")
}

// An abort before a partition's first commit must not go back to offset 0.
func TestAbortBeforeFirstCommit(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	w.putN("in", 0, 0, 100)
	if err := w.cluster.DeleteRecords(context.Background(), map[engine.TopicPartition]engine.Offset{in(0): 100}); err != nil {
		t.Fatal(err)
	}
	starts := 0
	a := w.lane("a", func(_ *Config, sc *SessionConfig) {
		sc.Start = func(engine.TopicPartition) (engine.Offset, error) { starts++; return 100, nil }
	})
	a.own(1)
	a.pos[in(0)] = 100
	a.SetPositions(a.pos)
	w.putN("in", 0, 100, 5)
	a.read(5)
	a.wantRows(count(100, 105)...)
	if starts != 1 {
		t.Fatalf("asked %d times where to start", starts)
	}
	a.begin()
	a.produce("out", "x")
	if outcome, err := a.End(context.Background(), false, 1, a.offsets()); outcome != engine.Aborted || err != nil {
		t.Fatalf("%s, %v", outcomeName(outcome), err)
	}
	a.AllowRebalance()
	for range 5 {
		if a.poll() > 0 {
			t.Fatalf("rows without a position: %v", a.rows)
		}
		a.idle()
	}
	a.pos[in(0)] = 100
	a.SetPositions(a.pos)
	a.read(5)
	a.wantRows(count(100, 105)...)
}

// What is committed is what End was given, not what was polled; and after an
// abort reading goes on where the lane says.
func TestLoweredOffsets(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	w.putN("in", 0, 0, 10)
	a := w.lane("a")
	a.read(10)
	a.wantRows(count(0, 10)...)

	a.begin()
	a.produce("out", "x")
	a.pos[in(0)] = 4 // rows 4 to 9 are buffered, not processed
	a.mustCommit()
	w.wantGroup(0, 4, "a#1")

	w.putN("in", 0, 10, 2)
	a.read(2)
	a.wantRows(count(10, 12)...) // a commit does not read anything again

	a.begin()
	a.produce("out", "y")
	if outcome, _ := a.End(context.Background(), false, 2, nil); outcome != engine.Aborted {
		t.Fatal(outcomeName(outcome))
	}
	a.pos[in(0)] = 4
	a.SetPositions(a.pos)
	a.AllowRebalance()
	a.read(8)
	a.wantRows(count(4, 12)...)
	w.wantVisible("out", "x")
}

// turns runs idle turns of lanes, one after the other, until cond holds.
func turns(t *testing.T, cond func() bool, lanes ...*lane) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatal("waited in vain")
		}
		for _, l := range lanes {
			l.reconcile()
			l.poll()
			l.idle()
		}
	}
}

func (w *world) members() int {
	if g := w.b.Cluster.GroupInfo("g"); g != nil && g.State == "Stable" {
		return len(g.Members)
	}
	return 0
}

// The client's transactional session reports only the first revoke between two
// Ends. Assignment must tell the truth all the same, whatever the lane does.
func TestSwallowedRevoke(t *testing.T) {
	w := newWorld(t, 4, embedded.Options{})
	a := w.lane("a")
	a.own(4)
	owned := func() int { _, o := a.Assignment(); return len(o) }
	waitFor := func(n int, others ...*lane) {
		t.Helper()
		for end := time.Now().Add(patience); owned() != n || w.members() != 1+len(others); {
			if time.Now().After(end) {
				t.Fatalf("a claims %d partitions, want %d", owned(), n)
			}
			_, _ = a.Poll(context.Background(), 1, 5*time.Millisecond)
			a.AllowRebalance() // and no End
			for _, b := range others {
				_, _ = b.Poll(context.Background(), 1, 5*time.Millisecond)
				b.idle()
			}
		}
	}
	last := int64(-1)
	for range 3 {
		b := w.lane("b")
		waitFor(2, b)
		b.Close(true)
		waitFor(4)
		if a.group.gen <= last {
			t.Fatalf("the assignment's number did not change: %d", a.group.gen)
		}
		last = a.group.gen
	}
	// And the next transaction is not aborted for the revokes before it.
	w.putN("in", 0, 0, 1)
	a.gen = -1
	a.read(1)
	a.begin()
	a.produce("out", "x")
	a.mustCommit()
}

// While a member joins, it owns nothing, also when the revoke before it was
// swallowed and the join takes its time.
func TestOwnsNothingWhileJoining(t *testing.T) {
	w := newWorld(t, 4, embedded.Options{})
	a := w.lane("a")
	a.own(4)
	var mu sync.Mutex
	hold := false
	w.b.Cluster.ControlKey(int16(kmsg.JoinGroup), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		w.b.Cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		req := kreq.(*kmsg.JoinGroupRequest)
		if !hold || !strings.HasPrefix(req.MemberID, "leat-a") {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
		resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		return resp, nil, true
	})
	owns := func(n int) {
		t.Helper()
		for end := time.Now().Add(patience); ; {
			if _, owned := a.Assignment(); len(owned) == n {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("a claims %v, want %d partitions", a.group.owned, n)
			}
			_, _ = a.Poll(context.Background(), 1, 5*time.Millisecond)
			a.AllowRebalance() // and no End: the next revoke is swallowed
		}
	}
	for range 2 {
		mu.Lock()
		hold = true
		mu.Unlock()
		a.cl.ForceRebalance()
		owns(0)
		mu.Lock()
		hold = false
		mu.Unlock()
		owns(4)
	}
}

// A transaction of offsets alone is checked and written like any other.
func TestOffsetsOnly(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	a := w.lane("a")
	a.own(1)
	a.poll()
	a.begin()
	a.pos[in(0)] = 0
	a.mustCommit()
	w.wantGroup(0, 0, "a#1")
	a.poll()
	w.evict(a)
	a.begin()
	if outcome, err := a.commit(); outcome != engine.LostLease || err != nil {
		t.Fatalf("%s, %v", outcomeName(outcome), err)
	}
	w.wantGroup(0, 0, "a#1")
}

// An evicted lane stops claiming its partitions, joins again, and works on.
func TestAssignmentAfterEviction(t *testing.T) {
	w := newWorld(t, 2, embedded.Options{})
	a := w.lane("a")
	a.own(2)
	before := a.gen
	w.evict(a)
	a.until(func() bool { g, _ := a.Assignment(); return g != before })
	a.own(2)
	w.putN("in", 0, 0, 2)
	a.read(2)
	a.begin()
	a.produce("out", "x")
	a.mustCommit()
	w.wantVisible("out", "x")
}

// While a lane works, a rebalance waits: the commit goes through, and only then
// the partitions.
func TestRebalanceWaitsForTheTurn(t *testing.T) {
	w := newWorld(t, 2, embedded.Options{})
	w.putN("in", 0, 0, 1)
	a := w.lane("a")
	a.read(1)
	a.poll()
	b := w.lane("b")
	if _, err := w.b.Cluster.WaitGroupInfo(timeout(t), "g", func(g *kfake.GroupInfo) bool { return g.State == "PreparingRebalance" }); err != nil {
		t.Fatal(err)
	}
	a.begin()
	a.produce("out", "x")
	if outcome, err := a.commit(); outcome != engine.Done || err != nil {
		t.Fatalf("%s, %v", outcomeName(outcome), err)
	}
	a.AllowRebalance()
	turns(t, func() bool { return len(a.owned) == 1 && len(b.owned) == 1 }, a, b)
	w.wantVisible("out", "x")
}

func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A record that the broker refuses aborts its transaction and says so; the same
// session goes on.
func TestRefusedRecord(t *testing.T) {
	for _, guarantee := range []engine.Guarantee{engine.ExactlyOnce, engine.AtLeastOnce} {
		w := newWorld(t, 1, embedded.Options{})
		w.putN("in", 0, 0, 2)
		a := w.lane("a", func(_ *Config, sc *SessionConfig) { sc.Guarantee = guarantee })
		a.read(2)
		w.b.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "out", Err: kerr.InvalidTimestamp})
		a.begin()
		a.produce("out", "poison")
		a.produce("log", "state")
		outcome, err := a.commit()
		var where *engine.Error
		if outcome != engine.Aborted || !errors.As(err, &where) || where.Kind != engine.BadRecord || where.Topic != "out" {
			t.Fatalf("%s, %v", outcomeName(outcome), err)
		}
		a.AllowRebalance()
		w.wantGroup(0, -1, "")
		a.pos[in(0)] = 0
		a.SetPositions(a.pos)
		a.wantRows(count(0, 2)...)
		a.read(2)
		a.wantRows(count(0, 2)...)
		a.begin()
		a.produce("out", "well")
		a.mustCommit()
		w.wantVisible("out", "well")
		if guarantee == engine.ExactlyOnce {
			w.wantVisible("log")
		}
	}
}

// A record larger than a batch may be is refused before it travels.
func TestTooLargeRecord(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	a := w.lane("a")
	a.own(1)
	a.begin()
	a.produce("out", string(make([]byte, 2<<20)))
	if outcome, err := a.commit(); outcome != engine.Aborted || engine.KindOf(err) != engine.BadRecord {
		t.Fatalf("%s, %v", outcomeName(outcome), err)
	}
}

// At least once: a lane that lost its place commits nothing.
func TestPlainCommitIsChecked(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	w.putN("in", 0, 0, 3)
	a := w.lane("a", deaf, atLeastOnce)
	a.read(3)
	a.poll()
	w.evict(a)
	b := w.lane("b", atLeastOnce)
	b.own(1)
	a.begin()
	a.produce("out", "again")
	if outcome, err := a.commit(); outcome != engine.LostLease || err != nil {
		t.Fatalf("%s, %v", outcomeName(outcome), err)
	}
	w.wantGroup(0, -1, "")
}

// The commit hook: our offsets and no others, and only as the member and in the
// generation that the lane's assignment belongs to.
func TestCommitHook(t *testing.T) {
	s := &Session{parts: map[engine.TopicPartition]*part{in(0): {epochs: [2]epoch{{from: 8, leader: 3}, {from: 5, leader: 2}}}}}
	s.group = membership{gen: 4, seen: 4, member: "m", generation: 7}
	request := func(member string, generation int32) *kmsg.TxnOffsetCommitRequest {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.MemberID, req.Generation = member, generation
		polled := kmsg.NewTxnOffsetCommitRequestTopic()
		polled.Topic, polled.TopicID = "in", [16]byte{1}
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Offset = 100
		polled.Partitions = append(polled.Partitions, p)
		req.Topics = append(req.Topics, polled)
		return req
	}
	offsets := []engine.OffsetCommit{
		{TopicPartition: in(0), Offset: 6, Metadata: "x"},
		{TopicPartition: engine.TopicPartition{Topic: "in2", Partition: 1}, Offset: 1, Metadata: "y"},
		{TopicPartition: in(3), Offset: 2},
	}
	req := request("m", 7)
	if err := s.exactCommit(req, offsets); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, topic := range req.Topics {
		for _, p := range topic.Partitions {
			got += fmt.Sprintf("%s %d/%d at %d epoch %d %q\n", topic.Topic, topic.TopicID[0], p.Partition, p.Offset, p.LeaderEpoch, *p.Metadata)
		}
	}
	if want := "in 1/0 at 6 epoch 2 \"x\"\nin 1/3 at 2 epoch -1 \"\"\nin2 0/1 at 1 epoch -1 \"y\"\n"; got != want {
		t.Errorf("commits\n%swant\n%s", got, want)
	}
	for _, c := range []struct {
		member     string
		generation int32
		gen        int64
	}{{"other", 7, 4}, {"m", 8, 4}, {"m", 6, 4}, {"m", 7, 5}} {
		s.group.gen = c.gen
		if err := s.exactCommit(request(c.member, c.generation), offsets); !errors.Is(err, errStaleMember) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// describeGroup is for people who debug a test here.
func (w *world) describeGroup() string {
	g, err := kadm.NewClient(w.side).DescribeGroups(context.Background(), "g")
	return fmt.Sprint(g, err)
}
