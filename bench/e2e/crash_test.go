//go:build crash

package e2e

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/leatstream/leat/bench/truth"
)

var (
	embeddedRounds = flag.Int("embedded", 20, "crashes on the embedded broker")
	kafkaRounds    = flag.Int("kafka", 5, "crashes on a real Kafka")
	brokerRounds   = flag.Int("broker", 0, "of these, rounds in which the embedded broker is killed, too")
	seed           = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the moments; a failed run prints its own")
)

const (
	loadOver   = 5 * time.Second
	flushEvery = 1 * time.Second
)

// The embedded broker in a process of its own, on its data folder. In the last
// -broker of the rounds it dies together with the worker, and both go on from
// their folders. That is asked for, not the rule: the embedded broker writes
// the markers of a transaction partition by partition, and a kill between two
// of them leaves it half committed, which Kafka's transaction log rules out.
func TestCrashOnTheEmbeddedBroker(t *testing.T) {
	moments := announce(t)
	addr, data := freeAddr(t), t.TempDir()
	broker := startBroker(t, addr, data)
	for round := range *embeddedRounds {
		t.Run(fmt.Sprint("round ", round), func(inRound *testing.T) {
			both := round >= *embeddedRounds-*brokerRounds
			crash(inRound, addr, round, moments, both, func() {
				if both {
					broker.kill()
					broker = startBroker(t, addr, data)
				}
			})
		})
	}
}

func TestCrashOnKafka(t *testing.T) {
	if *kafkaRounds == 0 {
		t.Skip("-kafka 0")
	}
	moments := announce(t)
	broker := kafka(t)
	for round := range *kafkaRounds {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			crash(t, broker.Addr(), round, moments, false, func() {})
		})
	}
}

func announce(t *testing.T) *rand.Rand {
	t.Logf("replay the moments with: make test-crash CRASH='-args -seed %d'", *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// crash is one round: a worker reads while rows arrive, is killed at a random
// moment, starts again on its own folder, reads the rest, is told to go, and
// finally closes what is open. atKill is what else happens at that moment.
//
// before has all rows in the topic before the worker starts. Where the broker
// dies, too, it must be so: it forgets its producers' sequence numbers with a
// kill, so a producer that is cut off writes rows twice, and the input would
// not be what the answers were made from.
func crash(t *testing.T, addr string, round int, moments *rand.Rand, before bool, atKill func()) {
	k := connect(t, addr)
	name := fmt.Sprint("crash-", round)
	topic := name + "-readings"
	k.create(topic)
	file, state := pipeline(t, "windows.yaml", name, topic), filepath.Join(t.TempDir(), "state")
	admin := freeAddr(t)
	run := func(more ...string) *process {
		return start(t, "worker", append([]string{"run", file, "--brokers", addr, "--state-dir", state,
			"--flush-every", flushEvery.String(), "--admin", admin}, more...)...)
	}

	loaded := make(chan error, 1)
	moment := time.Duration(moments.Int64N(int64(loadOver)))
	if before {
		loaded <- k.load(topic, true, 0)
	}
	worker := run()
	awaitRestores(t, admin, worker)
	if !before {
		go func() { loaded <- k.load(topic, true, loadOver) }()
	}
	committing := k.watch(name, topic, moment, worker)
	worker.kill()
	atKill()
	rows := k.committed(name, topic)
	restarted := time.Now()
	worker = run()
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	k.await(name, topic, truth.EventCount, 2*time.Minute, worker)
	kinds := awaitRestores(t, admin, worker)
	tail, full := kinds["tail"], kinds["full"]
	t.Logf("killed after %.2f s, %d rows committed, the first of them %.2f s before; up again and through %.1f s later; restores: %.0f from the tail, %.0f in full",
		moment.Seconds(), rows, committing.Seconds(), time.Since(restarted).Seconds(), tail, full)
	// Twice the flush interval after the first commit, and one for a slow disk,
	// something has been flushed: nothing may be restored from its beginning.
	if committing > 3*flushEvery && (full > 0 || tail == 0) {
		t.Errorf("%.0f restores in full and %.0f from the tail, %s after the first commit", full, tail, committing)
	}
	worker.drain(30 * time.Second)
	worker = run("--until-end", "--close-windows")
	worker.wait(2 * time.Minute)
	if err := k.verify(name); err != nil {
		t.Error(err)
	}
	k.forget(name, topic)
}

// watch lets a moment pass, and says how long ago the pipeline's first commit
// was at its end; zero if there was none.
func (c *cluster) watch(pipeline, topic string, moment time.Duration, running *process) time.Duration {
	c.t.Helper()
	end := time.Now().Add(moment)
	var first time.Time
	for time.Now().Before(end) {
		if first.IsZero() && c.committed(pipeline, topic) > 0 {
			first = time.Now()
		}
		if !running.running() {
			c.t.Fatalf("%s ended by itself: %v", running.name, running.err)
		}
		time.Sleep(min(20*time.Millisecond, time.Until(end)))
	}
	if first.IsZero() {
		return 0
	}
	return time.Since(first)
}

// awaitRestores waits until a worker has restored every task, in whichever
// way, and gives the count of each.
func awaitRestores(t *testing.T, admin string, worker *process) map[string]float64 {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		kinds, err := restores(admin)
		if err == nil && kinds["tail"]+kinds["full"]+kinds["none"] >= partitions {
			return kinds
		}
		if !worker.running() || time.Now().After(end) {
			t.Fatalf("not every task was restored: %v, %v", kinds, err)
		}
	}
}

var restoreLine = regexp.MustCompile(`^leat_restores_total\{(?:[^}]*,)?kind="([a-z]+)"[^}]*\} (\S+)`)

// restores reads from the admin address how tasks came by their state.
func restores(admin string) (map[string]float64, error) {
	answer, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	kinds := map[string]float64{}
	for lines := bufio.NewScanner(io.LimitReader(answer.Body, 16<<20)); lines.Scan(); {
		if m := restoreLine.FindStringSubmatch(lines.Text()); m != nil {
			n, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				return nil, fmt.Errorf("read %q: %w", lines.Text(), err)
			}
			kinds[m[1]] += n
		}
	}
	return kinds, nil
}

// startBroker runs leat broker on a folder and waits until it answers.
func startBroker(t *testing.T, addr, data string) *process {
	t.Helper()
	p := start(t, "broker", "broker", "--listen", addr, "--data-dir", data)
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
			return p
		}
		if !p.running() {
			t.Fatalf("the broker ended: %v\n%s", p.err, p.said())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
