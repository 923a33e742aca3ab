//go:build crash

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestCrashOfTheSender: a worker is killed when a receiver has an alert and the
// sender has not yet committed that. The alert is posted again, the same under the
// same Idempotency-Key; none is forgotten, and none that was committed is repeated.
func TestCrashOfTheSender(t *testing.T) {
	addr := freeAddr(t)
	startBroker(t, addr, t.TempDir())
	k := connect(t, addr)
	k.create("orders")

	posts := make(chan string, 100)
	release := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		posts <- r.Header.Get("Idempotency-Key") + " " + string(body)
		<-release // the answer comes when nobody is there any more
	}))
	defer receiver.Close()

	file, state, config := pipeline(t, "alerts.yaml", "alerts", "orders"), filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "leat.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{file: strings.ReplaceAll(string(text), "${URL}", receiver.URL), config: "alerts: {allow: [127.0.0.1]}\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func() *process {
		return start(t, "worker", "run", file, "--brokers", addr, "--state-dir", state, "--config", config, "--admin", freeAddr(t))
	}
	produce := func(id string) {
		value := fmt.Sprintf(`{"id":%q,"amount":11}`, id)
		if err := k.cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	next := func(what string, running *process) string {
		t.Helper()
		select {
		case p := <-posts:
			return p
		case <-running.ended:
			t.Fatalf("the worker ended before %s was posted", what)
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s was not posted", what)
		}
		return ""
	}
	sent := func() (n int64) {
		offsets, err := k.admin.FetchOffsets(t.Context(), "alerts.hook.sender")
		if err != nil {
			return 0
		}
		offsets.Each(func(o kadm.OffsetResponse) { n += max(0, o.At) })
		return n
	}

	worker := run()
	produce("a")
	first := next("the alert of a", worker)
	worker.kill()
	if n := sent(); n != 0 {
		t.Fatalf("%d alerts are committed, and none has been answered", n)
	}
	close(release)
	produce("b")

	worker = run()
	got := []string{next("the first of two", worker), next("the second of two", worker)}
	if !slices.Contains(got, first) || got[0] == got[1] {
		t.Errorf("after the crash came %q, before it %q", got, first)
	}
	for end := time.Now().Add(time.Minute); sent() == 0 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	worker.drain(30 * time.Second)

	worker = run()
	produce("c")
	if third := next("the alert of c", worker); !strings.Contains(third, `"id":"c"`) {
		t.Errorf("sent again though it was committed: %s", third)
	}
	worker.drain(30 * time.Second)
}
