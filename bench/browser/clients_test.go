//go:build browser

package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Clients that know nothing of leat read a view, and resume it.
func TestForeignClients(t *testing.T) {
	packages(t)
	w := newWorld(t)
	view := "http://" + w.workers["one"].http + "/live/shop/totals"
	sent := w.settled(t)
	for _, c := range foreignClients(t) {
		t.Run(c.name, func(t *testing.T) { c.follows(t, view, sent) })
	}
	t.Run("curl", func(t *testing.T) {
		out, _ := exec.Command("curl", "-sN", "--max-time", "3", view).Output() // ends by its time limit
		for _, want := range []string{"event: hello", "event: snapshot", `"shop":"anna"`, "event: ready", "id: v1.", "event: mark"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("curl was not told %q:\n%s", want, out)
			}
		}
	})
}

// The same clients behind the proxies of docs/how-to/proxies.md, configured as
// it says.
func TestProxies(t *testing.T) {
	packages(t)
	w := newWorld(t)
	sent := w.settled(t)
	clients := foreignClients(t)
	for _, p := range []struct {
		name, fence string
		start       func(t *testing.T, config, dir, addr string) *exec.Cmd
	}{{"nginx", "nginx", startNginx}, {"caddy", "caddyfile", startCaddy}} {
		t.Run(p.name, func(t *testing.T) {
			dir, addr := t.TempDir(), freeAddr(t)
			cmd := p.start(t, fenced(t, p.fence, w.workers["one"].http, addr), dir, addr)
			log := &bytes.Buffer{}
			cmd.Stdout, cmd.Stderr = log, log
			cmd.WaitDelay = 5 * time.Second // for children that hold the pipe
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cmd.Process.Signal(syscall.SIGTERM)
				_ = cmd.Wait()
				if t.Failed() {
					t.Logf("what %s said:\n%s", p.name, log)
				}
			}()
			w.await(p.name, func() bool {
				r, err := http.Get("http://" + addr + "/v1/views")
				if err != nil {
					return false
				}
				r.Body.Close()
				return r.StatusCode == http.StatusOK
			})
			for _, c := range clients {
				t.Run(c.name, func(t *testing.T) { c.follows(t, "http://"+addr+"/live/shop/totals", sent) })
			}
		})
	}
}

// settled stops the feeder and waits until the view has all that was sent.
func (w *world) settled(t *testing.T) map[string]int64 {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	sent, err := w.feeder.stop(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.await("the view to have all orders", func() bool {
		r, err := http.Get("http://" + w.workers["one"].http + "/v1/views/shop/totals")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		var body struct {
			Rows []struct {
				Shop   string      `json:"shop"`
				Orders json.Number `json:"orders"`
			} `json:"rows"`
		}
		if json.NewDecoder(r.Body).Decode(&body) != nil {
			return false
		}
		got := map[string]int64{}
		for _, r := range body.Rows {
			got[r.Shop], _ = r.Orders.Int64()
		}
		return maps.Equal(got, sent)
	})
	return sent
}

// foreign is a client: a command that takes the view's address.
type foreign struct {
	name string
	args []string
}

func foreignClients(t *testing.T) []foreign {
	python := venv(t)
	list := []foreign{{"eventsource", []string{"node", "page/eventsource.mjs"}}}
	for _, name := range []string{"httpx-sse", "sseclient", "websockets"} {
		list = append(list, foreign{name, []string{python, "clients/follow.py", name}})
	}
	return list
}

// follows runs a client over a view that stands still.
func (c foreign) follows(t *testing.T, view string, sent map[string]int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], append(c.args[1:], view)...)
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.args, " "), err, stderr)
	}
	var got struct {
		Orders  map[string]int64 `json:"orders"`
		Resumed bool             `json:"resumed"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("read what it printed, %q: %v", out, err)
	}
	if !maps.Equal(got.Orders, sent) {
		t.Errorf("it read %v, sent was %v", got.Orders, sent)
	}
	if !got.Resumed {
		t.Error("its cursor was not resumed")
	}
}

// venv makes a Python with the clients in it, once, and gives its path.
func venv(t *testing.T) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("clients/requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "leat", "clients")
	python, done := filepath.Join(dir, "bin", "python"), filepath.Join(dir, "installed")
	if got, err := os.ReadFile(done); err == nil && bytes.Equal(got, want) {
		return python
	}
	for _, args := range [][]string{{"python3", "-m", "venv", "--clear", dir}, {python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "clients/requirements.txt"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if err := os.WriteFile(done, want, 0o600); err != nil {
		t.Fatal(err)
	}
	return python
}

// fenced is the first block of a language in docs/how-to/proxies.md, with our
// addresses in the places of its own.
func fenced(t *testing.T, language, upstream, listen string) string {
	text, err := os.ReadFile("../../docs/how-to/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
	if m == nil {
		t.Fatalf("docs/how-to/proxies.md has no block in %s", language)
	}
	config := strings.ReplaceAll(string(m[1]), "127.0.0.1:8080", upstream)
	return regexp.MustCompile(`\blive\.example\.org(:\d+)?\b`).ReplaceAllString(config, listen)
}

// startNginx runs the documented server block as the only one, without TLS.
func startNginx(t *testing.T, config, dir, addr string) *exec.Cmd {
	var lines []string
	for line := range strings.Lines(config) {
		if s := strings.TrimSpace(line); strings.HasPrefix(s, "ssl_") || strings.HasPrefix(s, "listen ") || strings.HasPrefix(s, "server_name ") || strings.HasPrefix(s, "http2 ") {
			continue
		}
		lines = append(lines, line)
	}
	config = strings.Replace(strings.Join(lines, ""), "server {", "server {\n listen "+addr+";", 1)
	whole := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr; worker_processes 1;
events {}
http { access_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s
}
`, dir, config)
	return exec.Command(need(t, "nginx"), "-c", file(t, dir, "nginx.conf", whole), "-e", "stderr")
}

func startCaddy(t *testing.T, config, dir, addr string) *exec.Cmd {
	config = "{\n admin off\n auto_https off\n}\n" + strings.Replace(config, addr, "http://"+addr, 1)
	cmd := exec.Command(need(t, "caddy"), "run", "--adapter", "caddyfile", "--config", file(t, dir, "Caddyfile", config))
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return cmd
}

func file(t *testing.T, dir, name, text string) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// need finds a program; on a machine without it the test is skipped, but not
// in CI.
func need(t *testing.T, name string) string {
	for _, dir := range []string{"", "/usr/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}
