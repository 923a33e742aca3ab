//go:build synctests

package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// machine is one worker's process: it is started, and started again when it
// ends by itself, until it is stopped or crashes.
type machine struct {
	w     *world
	id    string
	lanes int
	cable *cable
	disk  *vfs.MemFS

	stop  context.CancelFunc // drain
	dead  bool               // crashed: what it still says is not heard
	done  chan struct{}      // it and all of its goroutines are gone
	exits []error            // of runs that ended by themselves
}

// start boots a machine. The disk of a machine before it may be given.
func (w *world) start(id string, disk *vfs.MemFS) *machine {
	if disk == nil {
		disk = vfs.NewCrashableMem()
	}
	m := &machine{w: w, id: id, lanes: w.lanes, cable: newCable(w.broker.Dial), disk: disk, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	w.all = append(w.all, m)
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			err := m.run(ctx)
			if m.dead || ctx.Err() != nil {
				return
			}
			m.exits = append(m.exits, err)
			w.log.Info("the worker ended", "machine", m.id, "err", err)
			if k := engine.KindOf(err); err != nil && k != engine.Environment {
				w.fail("worker %s ended: %v", m.id, err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second): // whoever supervises it
			}
		}
	}()
	return m
}

// run is the process: it opens its folder and works.
func (m *machine) run(ctx context.Context) error {
	log := m.w.log.With("machine", m.id)
	broker, err := kafka.Connect(kafka.Config{
		Brokers: m.w.broker.Addrs(), Dialer: m.cable.Dial, Logger: log,
		TransactionTimeout: transactionTimeout, SessionTimeout: 3 * time.Second, RebalanceTimeout: 3 * time.Second, HeartbeatInterval: 200 * time.Millisecond,
		FetchMaxWait: 50 * time.Millisecond, Linger: -1, Compression: "none", MaxBufferedRecords: 10_000,
	})
	if err != nil {
		return err
	}
	defer broker.Close()
	plan, err := engine.MakePlan(ctx, m.w.topo, broker.Cluster())
	if err != nil {
		return err
	}
	if _, err := plan.Enforce(ctx, m.w.topo, broker.Cluster()); err != nil {
		return err
	}
	db, err := state.Open("state", state.Options{FS: m.disk, Identity: m.id, Memory: 1 << 20})
	if err != nil {
		return fmt.Errorf("open the state of %s: %w", m.id, err)
	}
	worker := engine.NewWorker(m.w.topo, plan, broker, db, engine.Options{
		WorkerID: m.id, Lanes: m.lanes, CommitInterval: 100 * time.Millisecond, TransactionTimeout: transactionTimeout,
		FlushEvery: 2 * time.Second, Memory: 64 << 20, Log: log,
	})
	_, err = worker.Run(ctx)
	return errors.Join(err, db.Close())
}

const transactionTimeout = 4 * time.Second

// crash is kill -9: its network is gone, and what its disk had is what a
// machine after it may find.
func (m *machine) crash(rng *rand.Rand) *vfs.MemFS {
	m.dead = true
	m.cable.Cut()
	// A generator of its own: how many numbers it takes depends on the disk.
	dice := rand.New(rand.NewPCG(rng.Uint64(), 2))
	disk := m.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: dice.IntN(101), RNG: dice})
	m.stop()
	return disk
}
