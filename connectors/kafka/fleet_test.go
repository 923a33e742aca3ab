//go:build synctests

package kafka

// The same sessions in virtual time: a small fleet counts rows exactly once
// while lanes die, links break, answers get lost and leaders move.
//
//	go test -tags synctests -run TestFleet ./connectors/kafka -seeds 1-50
//
// A seed fixes the workload and the faults, not the interleaving.

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var seeds = flag.String("seeds", "1-6", "fleet runs, from-to")

const (
	fleetPartitions = 4
	fleetRows       = 400 // per partition
	fleetLanes      = 3
)

func TestFleet(t *testing.T) {
	from, to := 0, 0
	if n, err := fmt.Sscanf(*seeds, "%d-%d", &from, &to); n != 2 || err != nil {
		t.Fatalf("-seeds %s: %v", *seeds, err)
	}
	var sum fleetStats
	start := time.Now()
	for seed := from; seed <= to && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			f := fleet{T: t, seed: seed}
			f.run()
			sum.add(&f.fleetStats)
		})
	}
	t.Logf("seeds %s: %v virtual in %v real; commits %d, aborts %d, leases lost %d, sessions replaced %d, killed %d, cut %d, faults %d",
		*seeds, sum.virtual.Round(time.Second), time.Since(start).Round(time.Millisecond), sum.commits, sum.aborts, sum.lost, sum.fenced, sum.kills, sum.cuts, sum.faults)
}

type fleetStats struct {
	commits, aborts, lost, fenced, kills, cuts, faults int
	virtual                                            time.Duration
}

func (s *fleetStats) add(o *fleetStats) {
	s.commits, s.aborts, s.lost, s.fenced = s.commits+o.commits, s.aborts+o.aborts, s.lost+o.lost, s.fenced+o.fenced
	s.kills, s.cuts, s.faults, s.virtual = s.kills+o.kills, s.cuts+o.cuts, s.faults+o.faults, s.virtual+o.virtual
}

type fleet struct {
	*testing.T
	seed int
	w    *world
	fleetStats

	mu    sync.Mutex
	done  map[int]int // rows committed per partition
	lanes []*simLane
	wg    sync.WaitGroup
	ids   int
}

func (f *fleet) run() {
	began := time.Now()
	defer func() { f.virtual = time.Since(began) }()
	rng := rand.New(rand.NewPCG(uint64(f.seed), 0))
	f.done = map[int]int{}
	f.w = newWorld(f, fleetPartitions, embedded.Options{Virtual: true, Brokers: 3, MinSessionTimeout: time.Second})
	for range fleetLanes {
		f.lanes = append(f.lanes, f.start())
	}
	f.wg.Go(func() { // the workload
		wl := rand.New(rand.NewPCG(uint64(f.seed), 1))
		for at := 0; at < fleetRows; {
			n := min(1+wl.IntN(40), fleetRows-at)
			for p := range fleetPartitions {
				f.w.putN("in", p, at, n)
			}
			at += n
			time.Sleep(time.Duration(wl.IntN(400)) * time.Millisecond)
		}
	})
	for range 8 {
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		f.fault(rng)
	}
	f.drain()
	for _, l := range f.lanes {
		l.quit()
	}
	f.wg.Wait()
	f.check()
}

// fault does one harm.
func (f *fleet) fault(rng *rand.Rand) {
	i := rng.IntN(len(f.lanes))
	l := f.lanes[i]
	b := f.w.b.Cluster
	switch kind := rng.IntN(8); kind {
	case 0, 1: // kill -9, and another worker starts
		f.kills++
		l.net.down()
		l.quit()
		f.lanes[i] = f.start()
	case 2: // a link breaks for a while, beyond the session timeout or not
		f.cuts++
		l.net.down()
		f.wg.Go(func() {
			time.Sleep(time.Duration(200+i*2500) * time.Millisecond)
			l.net.up()
		})
	case 3:
		f.faults++
		b.ShufflePartitionLeaders()
	case 4:
		f.faults++
		b.RehashCoordinators()
	case 5: // EndTxn's connection breaks, before or after the broker heard it
		f.faults++
		b.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("lost"), true })
	case 6:
		f.faults++
		b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce, kmsg.TxnOffsetCommit}, Err: kerr.NotEnoughReplicas, Count: 1 + rng.IntN(5)},
			kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.RequestTimedOut, Count: 1 + rng.IntN(3)})
	case 7: // the member is removed while it works
		f.faults++
		if g := b.GroupInfo("g"); g != nil && len(g.Members) > 0 {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group = "g"
			m := kmsg.NewLeaveGroupRequestMember()
			m.MemberID = g.Members[rng.IntN(len(g.Members))].MemberID
			req.Members = append(req.Members, m)
			_, _ = req.RequestWith(context.Background(), f.w.side)
		}
	}
}

// drain waits until every row is committed. The embedded broker can leave a
// member without a session timer in possession of its partitions; a newcomer's
// rebalance frees them.
func (f *fleet) drain() {
	last, since, kicks := -1, time.Now(), 0
	for {
		f.mu.Lock()
		sum := 0
		for _, n := range f.done {
			sum += n
		}
		f.mu.Unlock()
		if sum == fleetPartitions*fleetRows {
			return
		}
		if sum != last {
			last, since = sum, time.Now()
		}
		if time.Since(since) > time.Minute {
			if kicks++; kicks > 3 {
				f.Errorf("seed %d: stuck at %d rows of %d", f.seed, sum, fleetPartitions*fleetRows)
				return
			}
			since = time.Now()
			f.Logf("seed %d: no progress for a minute at %d rows; group %s", f.seed, sum, f.w.describeGroup())
			f.lanes = append(f.lanes, f.start())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// check reads what came out: each row once, and the count carried on without a
// gap, whoever did it.
func (f *fleet) check() {
	for p := range fleetPartitions {
		n := 0
		_, err := f.w.cluster.Read(context.Background(), engine.TopicPartition{Topic: "out", Partition: engine.Partition(p)}, -1, func(r *engine.Rows) error {
			for _, v := range r.Values {
				n++
				if want := fmt.Sprintf("%d@%d=%d", p, n-1, n); string(v) != want {
					f.Errorf("seed %d: partition %d has %q as result %d, want %q", f.seed, p, v, n, want)
					return errors.New("wrong")
				}
			}
			return nil
		})
		if n != fleetRows || err != nil {
			f.Errorf("seed %d: partition %d has %d results, want %d (%v)", f.seed, p, n, fleetRows, err)
		}
	}
}

func (f *fleet) start() *simLane {
	f.ids++
	// A new id each time: two living clients with one id are not for this broker.
	l := &simLane{f: f, name: fmt.Sprintf("lane%d", f.ids), stop: make(chan struct{}), net: newLink(f.w.b.Dial)}
	f.wg.Go(l.run)
	return l
}

// simLane is a lane that counts rows per partition.
type simLane struct {
	f    *fleet
	name string
	net  *link
	stop chan struct{}
	once sync.Once

	s      *Session
	gen    int64
	number int64
	tasks  map[engine.TopicPartition]*simTask
}

// simTask is one partition's count, and the offset it stands for.
type simTask struct {
	at, next       engine.Offset // committed, and processed
	count, counted int
}

func (l *simLane) quit() { l.once.Do(func() { close(l.stop) }) }

func (l *simLane) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *simLane) run() {
	for session := 0; !l.stopped(); session++ {
		err := l.serve(fmt.Sprintf("%s.%d", l.name, session))
		if l.s != nil {
			l.s.Close(!l.net.isDown())
			l.s = nil
		}
		if err != nil {
			l.f.mu.Lock()
			l.f.fenced++
			l.f.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func (l *simLane) serve(id string) error {
	cfg := l.f.w.config()
	cfg.Dialer = l.net.connect
	cfg.TransactionTimeout, cfg.SessionTimeout, cfg.RebalanceTimeout, cfg.HeartbeatInterval = 2*time.Second, 2*time.Second, 3*time.Second, 200*time.Millisecond
	s, err := NewSession(cfg, SessionConfig{Group: "g", Topics: []engine.Topic{"in"}, TransactionalID: id, Lane: id, GiveUp: 5 * time.Second,
		CommitNumber: commitNumber, Writer: func(m string) string { w, _, _ := strings.Cut(m, "#"); return w }})
	if err != nil {
		return err
	}
	l.s, l.gen, l.tasks = s, -1, map[engine.TopicPartition]*simTask{}
	for !l.stopped() {
		if err := l.turn(id); err != nil {
			return err
		}
		s.AllowRebalance()
	}
	return nil
}

func (l *simLane) turn(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if gen, owned := l.s.Assignment(); gen != l.gen {
		l.gen = gen
		if err := l.assign(ctx, owned); engine.KindOf(err) == engine.Retry {
			l.gen = -1
			return nil // the group has moved on
		} else if err != nil {
			return err
		}
	}
	if err := l.s.Begin(); err != nil {
		return err
	}
	rows, err := l.s.Poll(ctx, 100, 100*time.Millisecond)
	if err != nil {
		return err
	}
	l.number++
	touched := map[engine.TopicPartition]bool{}
	for _, r := range rows {
		tp := engine.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		task := l.tasks[tp]
		touched[tp] = true
		for i, at := range r.Offsets {
			if engine.Offset(at) != task.next {
				return fmt.Errorf("row at %d, want %d", at, task.next)
			}
			task.next, task.counted = task.next+1, task.counted+1
			l.s.Produce([]engine.Record{{Topic: "out", Partition: tp.Partition, Value: fmt.Appendf(nil, "%d@%s=%d", tp.Partition, r.Values[i], task.counted)}})
		}
		task.next = max(task.next, r.Next)
		l.s.Produce([]engine.Record{{Topic: "log", Partition: tp.Partition, Key: []byte("state"), Value: fmt.Appendf(nil, "%d,%d", task.next, task.counted)}})
	}
	var offsets []engine.OffsetCommit
	for tp := range touched {
		offsets = append(offsets, engine.OffsetCommit{TopicPartition: tp, Offset: l.tasks[tp].next, Metadata: fmt.Sprintf("%s#%d", id, l.number)})
	}
	outcome, err := l.s.End(ctx, true, l.number, offsets)
	return l.ended(outcome, err, touched)
}

func (l *simLane) ended(outcome engine.Outcome, err error, touched map[engine.TopicPartition]bool) error {
	f := l.f
	f.mu.Lock()
	defer f.mu.Unlock()
	switch outcome {
	case engine.Done:
		for tp := range touched {
			task := l.tasks[tp]
			task.at, task.count = task.next, task.counted
			f.done[int(tp.Partition)] = task.count
		}
		if len(touched) > 0 {
			f.commits++
		}
		return err
	case engine.LostLease:
		f.lost++
		l.tasks, l.gen = map[engine.TopicPartition]*simTask{}, -1
		return err
	}
	f.aborts++
	pos := map[engine.TopicPartition]engine.Offset{}
	for tp, task := range l.tasks {
		task.next, task.counted = task.at, task.count
		pos[tp] = task.at
	}
	l.s.SetPositions(pos)
	if err != nil && engine.KindOf(err) == engine.Fenced {
		return err
	}
	return nil
}

// assign restores every task anew: what the changelog says must be what the
// group says.
func (l *simLane) assign(ctx context.Context, owned []engine.TopicPartition) error {
	l.tasks = map[engine.TopicPartition]*simTask{}
	if len(owned) == 0 {
		return nil
	}
	pos := map[engine.TopicPartition]engine.Offset{}
	for _, tp := range owned {
		task := &simTask{}
		_, err := l.f.w.cluster.Read(ctx, engine.TopicPartition{Topic: "log", Partition: tp.Partition}, -1, func(r *engine.Rows) error {
			at, count, _ := strings.Cut(string(r.Values[r.Len()-1]), ",")
			n, _ := strconv.Atoi(at)
			task.at = engine.Offset(n)
			task.count, _ = strconv.Atoi(count)
			return nil
		})
		if err != nil {
			return err
		}
		task.next, task.counted = task.at, task.count
		l.tasks[tp], pos[tp] = task, task.at
	}
	committed, err := l.s.Committed(ctx, owned)
	if err != nil {
		return err
	}
	for _, tp := range owned {
		if c := max(committed[tp].Offset, 0); c != pos[tp] {
			l.f.Errorf("seed %d: %s restored %v to %d, the group says %d", l.f.seed, l.name, tp, pos[tp], c)
		}
	}
	l.s.SetPositions(pos)
	l.s.Resume(owned)
	return nil
}

// link is a network that can be cut.
type link struct {
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newLink(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *link {
	return &link{dial: dial, conns: map[net.Conn]bool{}}
}

func (l *link) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	if l.isDown() {
		return nil, errors.New("link is down")
	}
	c, err := l.dial(ctx, network, addr) // not under the mutex: virtual time would stop
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		_ = c.Close()
		return nil, errors.New("link is down")
	}
	l.conns[c] = true
	return c, nil
}

func (l *link) isDown() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

func (l *link) down() {
	l.mu.Lock()
	l.cut = true
	conns := l.conns
	l.conns = map[net.Conn]bool{}
	l.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
}

func (l *link) up() {
	l.mu.Lock()
	l.cut = false
	l.mu.Unlock()
}
