package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/leatstream/leat/connectors/outbox"
)

// TestDocumentedReceiver: the Python that docs/how-to/alerts.md gives to receivers
// accepts what we post, with either secret, and nothing else.
func TestDocumentedReceiver(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 here")
	}
	page, err := os.ReadFile("../../docs/how-to/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```python\n")
	snippet, _, ends := strings.Cut(rest, "```")
	if !found || !ends {
		t.Fatal("docs/how-to/alerts.md has no Python")
	}
	const coded, text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "an old secret of text"
	var headers map[string]string
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body, headers = string(b), map[string]string{}
		for name := range r.Header {
			headers[strings.ToLower(name)] = r.Header.Get(name)
		}
	}))
	defer server.Close()
	note := &outbox.Note{ID: "p.s.outbox/3/12", Value: []byte("{\"text\":\"Zürich is 8 °C\"}")}
	if err := deliver(t, Config{URL: server.URL, Secrets: []string{coded, text}, Client: local(t)}, note); err != nil {
		t.Fatal(err)
	}
	with := func(change string, to string) map[string]string {
		h := map[string]string{}
		for name, value := range headers {
			h[name] = value
		}
		h[change] = to
		return h
	}
	type question struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		want    bool
	}
	questions := []question{
		{coded, headers, body, true}, {text, headers, body, true},
		{"another secret of text", headers, body, false}, {coded, headers, body + " ", false},
		{coded, with("webhook-id", "p.s.outbox/3/13"), body, false}, {coded, with("webhook-timestamp", "1"), body, false}, {coded, with("webhook-signature", "v1,"), body, false},
	}
	asked, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	program := snippet + "\nimport json, sys\nfor q in json.load(sys.stdin): print(verify(q['secret'], q['headers'], q['body'].encode()))\n"
	cmd := exec.CommandContext(context.Background(), python, "-c", program)
	cmd.Stdin, cmd.Env = bytes.NewReader(asked), append(os.Environ(), "PYTHONUTF8=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, answer := range strings.Fields(string(out)) {
		if (answer == "True") != questions[i].want {
			t.Errorf("question %d: %s, want %v", i, answer, questions[i].want)
		}
	}
	if n := len(strings.Fields(string(out))); n != len(questions) {
		t.Errorf("%d answers", n)
	}
}
