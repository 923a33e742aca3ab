package sse

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/engine"
)

// view is one live view on this node: the table that a single reader keeps,
// and the groups of clients that look at it.
//
//	Tail ─▶ apply ─▶ table ─▶ tick ─▶ group (one per filter) ─▶ its clients
//	        under mu          each refresh: encoded once per group
//
// mu guards the table. Only apply changes rows, only tick moves ticked; rows
// are copied under mu and encoded outside it.
type view struct {
	name    string
	log     *slog.Logger
	metrics Metrics
	now     func() time.Time
	spec    engine.ViewSpec // never changes

	mu      sync.Mutex
	table   *table
	epoch   string
	topic   string                             // the topic's id, as the epoch was made from it
	ends    map[engine.Partition]engine.Offset // log ends at the start; nil: not asked yet
	caught  bool                               // the table has reached ends
	ready   chan struct{}                      // closed when caught up
	gone    chan struct{}                      // closed when the table is replaced: clients leave
	ticked  uint64                             // version of the last frame
	seq     uint64                             // number of the last mark
	groups  map[string]*group
	replay  time.Duration // for so long the topic is not compacted
	trouble string        // why nothing is read just now; "": it is

	watchers atomic.Pointer[block] // who watches, as clients are told; nil: not known yet
}

func newView(spec engine.ViewSpec, o *Options) *view {
	v := &view{name: spec.Name, log: o.Log.With("view", spec.Name), metrics: o.Metrics, now: o.Now, spec: defaults(spec), replay: spec.Replay}
	v.fresh()
	return v
}

// fresh starts with an empty table; mu is held or not needed yet.
func (v *view) fresh() {
	v.table = newTable(v.spec)
	v.ends, v.caught, v.ticked = nil, false, 0
	v.ready, v.gone = make(chan struct{}), make(chan struct{})
	v.groups = map[string]*group{}
}

// run reads the view's topic and makes its frames until ctx ends; it returns
// when both its goroutines have.
func (v *view) run(ctx context.Context, tailer Tailer) {
	var wg sync.WaitGroup
	wg.Go(func() { v.frames(ctx) })
	for fails := 0; ctx.Err() == nil; {
		began := v.now()
		err := v.follow(ctx, tailer)
		v.worry(troubleBroker)
		if fails++; v.now().Sub(began) > time.Minute {
			fails = 1 // it did work
		}
		pause := againAfter(fails)
		if err != nil && ctx.Err() == nil {
			v.log.Warn("view: reading again", "after", pause, "err", err)
		}
		engine.Sleep(ctx, pause)
	}
	wg.Wait()
}

// againAfter is the pause before a view is read again after so many failures in
// a row: 250ms, doubling to four seconds, and up to a half less.
func againAfter(fails int) time.Duration {
	d := 250 * time.Millisecond << min(fails-1, 4)
	return d/2 + rand.N(d/2)
}

// follow tails the topic from where the table is.
func (v *view) follow(ctx context.Context, tailer Tailer) error {
	if d, ok := tailer.(describer); ok {
		infos, err := d.Topics(ctx, v.spec.Topic)
		if err != nil {
			return fmt.Errorf("describe %s: %w", v.spec.Topic, err)
		}
		if info := infos[v.spec.Topic]; info.Exists {
			v.identify(info.ID, info.Partitions)
			v.setReach(info.Configs)
		} else {
			v.worry(troubleTopic)
			return fmt.Errorf("read %s: the topic does not exist yet", v.spec.Topic)
		}
	} else {
		v.identify("", max(1, v.spec.Tasks))
	}
	if e, ok := tailer.(ender); ok && !v.asked() {
		ends, err := e.EndOffsets(ctx, v.spec.Topic)
		if err != nil {
			return fmt.Errorf("read the end of %s: %w", v.spec.Topic, err)
		}
		v.setEnds(ends)
	} else if !ok {
		v.setEnds(nil)
	}
	v.worry("")
	if err := tailer.Tail(ctx, v.spec.Topic, v.positions(), v.apply); err != nil {
		return fmt.Errorf("tail %s: %w", v.spec.Topic, err)
	}
	return nil
}

// identify gives the table its epoch. A topic that was created anew has other
// offsets: everything starts again, and no old cursor is good.
func (v *view) identify(topicID string, partitions int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.epoch != "" && v.topic != topicID {
		v.log.Warn("view: the topic was recreated, reading it from its start")
		close(v.gone)
		v.fresh()
	}
	v.topic = topicID
	v.epoch = epochOf(v.spec, topicID)
	v.table.grow(partitions)
}

// epochOf names what a cursor's offsets belong to: the topic's id and the
// pipeline's generation, in letters that a cursor may hold.
func epochOf(spec engine.ViewSpec, topicID string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s", spec.Topic, topicID)
	return fmt.Sprintf("%x-%d", h.Sum64()&0xffffffffff, spec.Generation)
}

// setReach finds how far back the topic has every record: its own setting, as
// an older version of the pipeline may have made it.
func (v *view) setReach(configs map[string]string) {
	name := "min.compaction.lag.ms"
	if policy := configs["cleanup.policy"]; policy != "" && !strings.Contains(policy, "compact") {
		name = "retention.ms"
	}
	ms, err := strconv.ParseInt(configs[name], 10, 64)
	if err != nil || ms < 0 {
		return // not known, or for ever
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.replay = time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

// reach is how far back frames can be shown as they were.
func (v *view) reach() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.replay
}

func (v *view) asked() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ends != nil
}

func (v *view) setEnds(ends map[engine.Partition]engine.Offset) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if ends == nil {
		ends = map[engine.Partition]engine.Offset{}
	}
	v.ends = ends
	v.checkCaught()
}

func (v *view) positions() map[engine.Partition]engine.Offset {
	v.mu.Lock()
	defer v.mu.Unlock()
	from := map[engine.Partition]engine.Offset{}
	for p, o := range v.table.pos {
		if o > 0 {
			from[engine.Partition(p)] = engine.Offset(o)
		}
	}
	return from
}

// apply is Tail's callback, called from one goroutine.
func (v *view) apply(rows []*engine.Rows, pos map[engine.Partition]engine.Offset) error {
	now := v.now().UnixMilli()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.table.apply(rows, pos, now)
	v.checkCaught()
	return nil
}

// checkCaught opens the view to clients once the table has reached the ends.
func (v *view) checkCaught() {
	if v.caught || v.ends == nil {
		return
	}
	for p, end := range v.ends {
		if int(p) >= len(v.table.pos) || v.table.pos[p] < int64(end) {
			return
		}
	}
	v.caught, v.ticked, v.table.changes = true, v.table.version, 0
	close(v.ready)
	v.log.Info("view: caught up", "rows", v.table.live)
}

// frames ticks until ctx ends: a frame each refresh, a mark each second.
func (v *view) frames(ctx context.Context) {
	refresh, second := time.NewTicker(v.spec.Refresh), time.NewTicker(time.Second)
	defer refresh.Stop()
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-refresh.C:
			v.tick(due(second))
		case <-second.C:
			due(refresh)
			v.tick(true)
		}
	}
}

// due tells whether a ticker has ticked, too: where both have, a client is
// written to once.
func due(t *time.Ticker) bool {
	select {
	case <-t.C:
		return true
	default:
		return false
	}
}

// tick publishes what changed since the last tick to each group.
func (v *view) tick(withMark bool) {
	now := v.now().UnixMilli()
	v.mu.Lock()
	v.table.forget(now)
	if !v.caught || (v.table.version == v.ticked && !withMark) {
		v.mu.Unlock()
		return
	}
	v.sweep()
	if len(v.groups) == 0 { // nobody looks: who comes begins with a snapshot
		v.ticked, v.table.changes = v.table.version, 0
		v.mu.Unlock()
		return
	}
	n := news{from: v.ticked, head: headOf(v.table, v.epoch)}
	n.rows, n.fits = v.table.since(n.from)
	conflated := int(v.table.changes) - len(n.rows)
	v.ticked, v.table.changes = v.table.version, 0
	if !n.fits { // clients find no frame that fits and take a snapshot
		n.rows, conflated = v.table.all(), 0
	}
	if withMark {
		v.seq++
		n.status = v.status(v.table)
		n.mark = markBlock(n.status)
	}
	n.seq = v.seq
	groups := make([]*group, 0, len(v.groups))
	for _, g := range v.groups {
		groups = append(groups, g)
	}
	v.mu.Unlock()

	for _, g := range groups {
		g.publish(n)
	}
	if conflated > 0 {
		v.metrics.Conflated(v.name, conflated)
	}
	if len(n.rows) > 0 && n.fits {
		v.metrics.EventToScreen(v.name, max(0, float64(now-v.born(&n.rows[len(n.rows)-1]))/1000))
	}
}

// born is when a row could be known: its window's end where it is closed,
// its record's time otherwise. Epoch ms.
func (v *view) born(r *row) int64 {
	if r.end != 0 && r.value != nil {
		if raw, ok := field(r.value, "final"); !ok || string(raw) == "true" {
			return r.end
		}
	}
	return r.at
}

// headOf describes a table as it is; mu is held.
func headOf(t *table, epoch string) head {
	return head{version: t.version, watermark: t.watermark(), floor: t.floor, cursor: encodeCursor(epoch, t.pos)}
}

// join finds or makes the group of a filter and counts a client in. The
// client calls leave.
func (v *view) join(f filter) *group {
	v.mu.Lock()
	defer v.mu.Unlock()
	g := v.groups[f.canon]
	if g == nil {
		g = &group{view: v, table: v.table, epoch: v.epoch, filter: f}
		g.beat.Store(&beat{next: make(chan struct{})})
		if f.holds() {
			g.held, g.head = newHeld(v.table.all()), headOf(v.table, v.epoch)
		}
		v.groups[f.canon] = g
	}
	g.clients++
	return g
}

func (v *view) leave(g *group) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if g.clients--; g.clients > 0 || v.groups[g.filter.canon] != g {
		return
	}
	if g.held != nil && len(v.groups) <= maxLingering {
		g.idle = v.now() // it looked at the whole table to begin: its clients may be back
		return
	}
	delete(v.groups, g.filter.canon)
}

// A group that holds rows stays for a while when its last client has gone,
// where there are not many: a client that polls comes and goes all the time.
const (
	maxLingering = 64
	linger       = 30 * time.Second
)

// sweep removes groups that lingered; mu is held.
func (v *view) sweep() {
	for canon, g := range v.groups {
		if g.clients == 0 && v.now().Sub(g.idle) > linger {
			delete(v.groups, canon)
		}
	}
}

// doors are the channels of the table as it is now.
func (v *view) doors() (ready, gone <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ready, v.gone
}

// end sends all clients away: the view is no longer served.
func (v *view) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.gone)
	v.fresh()
}

// topicOf is the name a view's topic has by default.
func topicOf(v engine.ViewSpec) engine.Topic {
	return engine.Topic(strings.Join([]string{v.Pipeline, v.Sink, "view"}, "."))
}
