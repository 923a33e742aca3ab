//go:build browser

package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// shops are the keys; the first has the most orders.
var shops = []string{"anna", "berta", "carl", "dora", "emil"}

const (
	ordersTopic = "orders"
	partitions  = 2
)

// world is everything behind the page. Its methods are called by the control
// server, one at a time.
type world struct {
	t      *testing.T
	dir    string
	binary string

	mu      sync.Mutex
	broker  broker
	addr    string // the broker's
	workers map[string]*worker
	feeder  *feeder
	link    *link
	proxy   *proxy
}

// newWorld starts a broker, a worker and a feeder, and lets the page's link
// lead to the worker.
func newWorld(t *testing.T) *world { return newWorldOn(t, &development{}) }

func newWorldOn(t *testing.T, b broker) *world {
	w := &world{t: t, dir: t.TempDir(), broker: b, workers: map[string]*worker{}}
	w.build()
	w.startBroker()
	w.feeder = newFeeder(t, w.addr)
	w.startWorker("one")
	w.link = newLink(t, w.workers["one"].http)
	w.proxy = newProxy(t, w.link.addr)
	t.Cleanup(func() {
		w.feeder.close()
		for name, k := range w.workers {
			if t.Failed() {
				t.Logf("the end of what worker %s said:\n%s", name, k.said())
			}
			if t.Failed() && k.cmd != nil {
				k.end(syscall.SIGQUIT)
				t.Logf("where worker %s was:\n%s", name, k.said())
			}
			k.end(syscall.SIGKILL)
		}
		w.broker.stop()
	})
	return w
}

func (w *world) build() {
	if w.binary = os.Getenv("LEAT_BINARY"); w.binary != "" {
		return
	}
	w.binary = filepath.Join(w.dir, "leat")
	if out, err := exec.Command("go", "build", "-o", w.binary, "../../cmd/leat").CombinedOutput(); err != nil {
		w.t.Fatalf("build leat: %v\n%s", err, out)
	}
}

func (w *world) startBroker() {
	addr, err := w.broker.start(filepath.Join(w.dir, "broker"))
	if err != nil {
		w.t.Fatalf("start the broker: %v", err)
	}
	w.addr = addr
}

// worker is a leat run of its own; it keeps its address through restarts.
type worker struct {
	http, admin, log string
	cmd              *exec.Cmd
	ended            chan struct{} // closed when cmd has
}

func (w *world) startWorker(name string) {
	k := w.workers[name]
	if k == nil {
		k = &worker{http: freeAddr(w.t), admin: freeAddr(w.t), log: filepath.Join(w.dir, name+".log")}
		w.workers[name] = k
	}
	log, err := os.OpenFile(k.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close()
	k.cmd = exec.Command(w.binary, "run", "testdata/shop.yaml", "--brokers", w.addr, "--worker-id", name,
		"--state-dir", filepath.Join(w.dir, "state-"+name), "--http", k.http, "--admin", k.admin, "--lanes", "1")
	k.cmd.Stderr = log
	if err := k.cmd.Start(); err != nil {
		w.t.Fatalf("start worker %s: %v", name, err)
	}
	ended, cmd := make(chan struct{}), k.cmd
	k.ended = ended
	go func() { // ends with the process
		_ = cmd.Wait()
		close(ended)
	}()
	w.awaitReady(name)
}

func (w *world) awaitReady(name string) {
	k := w.workers[name]
	w.await("worker "+name+" to be ready", func() bool {
		r, err := http.Get("http://" + k.admin + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// end sends a signal and waits for the end.
func (k *worker) end(s syscall.Signal) {
	if k.cmd == nil {
		return
	}
	_ = k.cmd.Process.Signal(s)
	select {
	case <-k.ended:
	case <-time.After(40 * time.Second):
		_ = k.cmd.Process.Kill()
		<-k.ended
	}
	k.cmd = nil
}

func (k *worker) said() []byte {
	text, _ := os.ReadFile(k.log)
	return text[max(0, len(text)-30000):]
}

// await asks until it is so.
func (w *world) await(what string, so func() bool) {
	limit := time.After(90 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-limit:
			w.t.Errorf("waited in vain for %s", what)
			return
		}
	}
}

// freeAddr is an address on the loopback that was free a moment ago.
func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// feeder sends orders at the pace of the clock and remembers them: the truth.
type feeder struct {
	client *kgo.Client
	cancel context.CancelFunc
	done   chan struct{}

	turn sync.Mutex // held for all orders of a moment

	mu   sync.Mutex
	on   bool
	n    int64            // orders sent
	sent map[string]int64 // by shop
}

func newFeeder(t *testing.T, brokers string) *feeder {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.DefaultProduceTopic(ordersTopic), kgo.RecordRetries(1<<20),
		// What was sent is in Kafka as soon as Kafka is there.
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &feeder{client: client, cancel: cancel, done: make(chan struct{}), on: true, sent: map[string]int64{}}
	// Minutes of past, so that charts have something to show.
	for at := time.Now().Add(-4 * time.Minute); at.Before(time.Now()); at = at.Add(time.Second) {
		f.orders(ctx, at)
	}
	go func() {
		defer close(f.done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				f.turn.Lock()
				if f.isOn() {
					f.orders(ctx, now)
				}
				f.turn.Unlock()
			}
		}
	}()
	return f
}

func (f *feeder) isOn() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}

// orders sends some orders of each shop: 5 of the first, 1 of the last.
func (f *feeder) orders(ctx context.Context, at time.Time) {
	for i, shop := range shops {
		for range len(shops) - i {
			f.order(ctx, shop, at)
		}
	}
}

func (f *feeder) order(ctx context.Context, shop string, at time.Time) {
	f.mu.Lock()
	f.n++
	f.sent[shop]++
	n := f.n
	f.mu.Unlock()
	value, _ := json.Marshal(map[string]any{"n": n, "shop": shop, "amount": 5 + n*7%97, "at": at.UnixMilli()})
	f.client.Produce(ctx, &kgo.Record{Key: []byte(shop), Value: value, Timestamp: at}, nil)
}

// stop stops sending and gives what was sent once all of it is in the log.
func (f *feeder) stop(ctx context.Context) (map[string]int64, error) {
	f.turn.Lock()
	f.mu.Lock()
	f.on = false
	sent := maps.Clone(f.sent)
	f.mu.Unlock()
	f.turn.Unlock()
	return sent, f.client.Flush(ctx)
}

func (f *feeder) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on = true
}

func (f *feeder) close() {
	f.cancel()
	<-f.done
	f.client.Close()
}

// control is the HTTP server by which the tests change the world.
//
//	POST /whole                    as it was at first
//	POST /feed?on=false            stops the feeder and answers what it sent
//	POST /worker?do=start|stop|kill&name=one
//	POST /ready?name=one           waits until the worker is
//	POST /broker?do=stop|start
//	POST /link?up=false|true&to=one
//	POST /send?key=…&value=…       one record as it stands
func (w *world) control() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, do func(q func(string) string) (any, error)) {
		mux.HandleFunc("POST "+path, func(rw http.ResponseWriter, r *http.Request) {
			w.mu.Lock()
			defer w.mu.Unlock()
			answer, err := do(r.URL.Query().Get)
			if err != nil {
				http.Error(rw, err.Error(), http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(rw).Encode(answer)
		})
	}
	handle("/whole", func(func(string) string) (any, error) {
		if k := w.workers["one"]; k.cmd == nil {
			w.startWorker("one")
		}
		w.link.lead(w.workers["one"].http)
		w.link.set(true)
		w.feeder.start()
		return nil, nil
	})
	handle("/feed", func(q func(string) string) (any, error) {
		if on, _ := strconv.ParseBool(q("on")); on {
			w.feeder.start()
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		return w.feeder.stop(ctx)
	})
	handle("/worker", func(q func(string) string) (any, error) {
		name := q("name")
		switch k := w.workers[name]; q("do") {
		case "start":
			w.startWorker(name)
		case "stop":
			k.end(syscall.SIGTERM)
		case "kill":
			k.end(syscall.SIGKILL)
		default:
			return nil, fmt.Errorf("do=%s: start, stop or kill", q("do"))
		}
		return map[string]string{"http": w.workers[name].http}, nil
	})
	handle("/ready", func(q func(string) string) (any, error) {
		w.awaitReady(q("name"))
		return nil, nil
	})
	handle("/broker", func(q func(string) string) (any, error) {
		if q("do") == "stop" {
			w.broker.stop()
			return nil, nil
		}
		w.startBroker()
		return nil, nil
	})
	handle("/link", func(q func(string) string) (any, error) {
		if to := q("to"); to != "" {
			w.link.lead(w.workers[to].http)
		}
		up, err := strconv.ParseBool(q("up"))
		if err == nil {
			w.link.set(up)
		}
		return nil, nil
	})
	handle("/send", func(q func(string) string) (any, error) {
		return nil, w.feeder.client.ProduceSync(context.Background(), &kgo.Record{Key: []byte(q("key")), Value: []byte(q("value"))}).FirstErr()
	})
	return mux
}

// node runs a test file of page/ against the world.
func (w *world) node(t *testing.T, file string) {
	control := &http.Server{Handler: w.control(), ReadHeaderTimeout: 5 * time.Second}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go control.Serve(l) // ends with Close
	defer control.Close()
	shots := os.Getenv("SHOTS")
	if shots == "" {
		shots = filepath.Join(w.dir, "shots")
	}
	args := []string{"--test", "--test-reporter=spec"}
	if only := os.Getenv("ONLY"); only != "" {
		args = append(args, "--test-name-pattern="+only)
	}
	// Told to end before the test itself is ended, node takes its browser along.
	ctx := t.Context()
	if limit, ok := t.Deadline(); ok {
		bounded, cancel := context.WithDeadline(ctx, limit.Add(-30*time.Second))
		defer cancel()
		ctx = bounded
	}
	cmd := exec.CommandContext(ctx, "node", append(args, file)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Dir = "page"
	cmd.Env = append(os.Environ(), "TZ=UTC", "LANG=en_US.UTF-8",
		"PAGE=http://"+w.link.addr, "BUFFERED=http://"+w.proxy.addr, "CONTROL=http://"+l.Addr().String(),
		"CHROMIUM="+chromium(t), "SHOTS="+shots)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout // as it comes: a test that hangs is the last one named
	if err := cmd.Run(); err != nil {
		t.Fatalf("node --test %s: %v", file, err)
	}
}

// chromium is the browser's path.
func chromium(t *testing.T) string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: install it (Debian: chromium), or name it in CHROMIUM")
	return ""
}

// packages installs what page/package.json names, once.
func packages(t *testing.T) {
	lock, err := os.ReadFile("page/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := os.ReadFile("page/node_modules/.installed"); err == nil && bytes.Equal(done, lock) {
		return
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = "page"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, strings.TrimSpace(string(out)))
	}
	if err := os.WriteFile("page/node_modules/.installed", lock, 0o600); err != nil {
		t.Fatal(err)
	}
}
