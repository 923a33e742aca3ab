//go:build synctests

package kafka

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Pauses between tries: short at first, a second in the long run, and never two
// clients in step.
func TestBackoff(t *testing.T) {
	for fails, want := range []time.Duration{100, 100, 200, 400, 800, 1000, 1000} {
		want *= time.Millisecond
		seen := map[time.Duration]bool{}
		for range 100 {
			d := backoff(fails)
			if d < want*4/5 || d > want*6/5 {
				t.Fatalf("after %d failures: %v, want about %v", fails, d, want)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("after %d failures: %d different pauses of 100", fails, len(seen))
		}
	}
	if d := backoff(1 << 40); d > 1200*time.Millisecond {
		t.Errorf("in the long run: %v", d)
	}
}

// A broker goes away again and again, for a second or for minutes: who reads is
// back within two seconds of it each time, and meanwhile knocks once or twice a
// second.
func TestBackSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		w.putN("in", 0, 0, 1)
		l := newLink(w.b.Dial)
		var dials atomic.Int64
		cfg := w.config()
		cfg.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return l.connect(ctx, network, addr)
		}
		c, err := NewCluster(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		came, ended := make(chan int, 10), make(chan error, 1)
		go func() {
			ended <- c.Tail(ctx, "in", nil, func(rows []*engine.Rows, _ map[engine.Partition]engine.Offset) error {
				for _, r := range rows {
					came <- r.Len()
				}
				return nil
			})
		}()
		<-came
		for i, ms := range []int{700, 3000, 10_000, 30_000, 40_700, 51_400, 62_100, 73_800, 84_500, 95_200, 300_000} {
			away := time.Duration(ms) * time.Millisecond
			l.down()
			before := dials.Load()
			time.Sleep(away)
			knocks := dials.Load() - before
			if most := int64(10 + 3*away.Seconds()); knocks > most {
				t.Errorf("%d connections were tried in %v, more than %d", knocks, away, most)
			}
			w.putN("in", 0, 1+i, 1)
			back := time.Now()
			l.up()
			<-came
			if took := time.Since(back); took > 2*time.Second {
				t.Errorf("after %v away it read again after %v", away, took)
			}
		}
		stop()
		<-ended
	})
}

// The same for a lane in its group: it is a member again and reads on.
func TestLaneIsBackSoonAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		w.putN("in", 0, 0, 1)
		l := newLink(w.b.Dial)
		a := w.lane("a", func(cfg *Config, _ *SessionConfig) { cfg.Dialer = l.connect })
		a.read(1)
		a.begin()
		a.mustCommit()
		for i, ms := range []int{700, 3000, 4000, 10_000, 30_000, 40_700, 51_400, 62_100, 73_800, 84_500, 95_200, 300_000} {
			away := time.Duration(ms) * time.Millisecond
			l.down()
			time.Sleep(away)
			w.putN("in", 0, 1+i, 1)
			back := time.Now()
			l.up()
			a.read(1)
			if took := time.Since(back); took > 2*time.Second {
				t.Errorf("after %v away it read again after %v", away, took)
			}
			a.begin()
			a.mustCommit()
		}
	})
}

// A session that ends while no broker answers leaves its member in the group,
// which would wait for it. The lane's next session takes it out.
func TestMemberLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		l := newLink(w.b.Dial)
		cfg := w.config()
		cfg.Dialer, cfg.SessionTimeout = l.connect, time.Minute
		b, err := Connect(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		join := func() (s engine.Session, took time.Duration) {
			start := time.Now()
			s, err := b.Session(t.Context(), engine.SessionRequest{
				Group: "g", Topics: []engine.Topic{"in"}, TransactionalID: "a", Lane: "a", Guarantee: engine.ExactlyOnce,
				Start: func(context.Context, engine.TopicPartition) (engine.Offset, error) { return 0, nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			for {
				if _, owned := s.Assignment(); len(owned) == 1 {
					return s, time.Since(start)
				}
				if _, err := s.Poll(t.Context(), 1, 10*time.Millisecond); err != nil {
					t.Fatal(err)
				}
				s.AllowRebalance()
			}
		}
		first, _ := join()
		l.down()
		first.Close(true)
		l.up()
		second, took := join()
		defer second.Close(true)
		if took > 2*time.Second {
			t.Errorf("the second session owned its partition after %v", took)
		}
		if n := len(b.behind); n != 0 {
			t.Errorf("%d lanes are remembered", n)
		}
	})
}

// Who writes while no broker answers, and is told to end, ends: also where the
// client may not give up the batch, as it may have been sent.
func TestProduceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		l := newLink(w.b.Dial)
		cfg := w.config()
		cfg.Dialer = l.connect
		c, err := NewCluster(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		record := []engine.Record{{Topic: "out", Value: []byte("x")}}
		if err := c.Produce(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		// The broker takes the next one and its answer is lost.
		w.b.Cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			l.down()
			return nil, nil, false
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		err = c.Produce(ctx, record)
		if took := time.Since(start); err == nil || took > 11*time.Second {
			t.Errorf("it ended after %v: %v", took, err)
		}
	})
}
