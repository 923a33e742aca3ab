package webpush

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/connectors/outbox"
	"github.com/leatstream/leat/connectors/webhook"
)

// Options are what a Pusher needs.
type Options struct {
	Keys    *Keys
	Subject string // mailto: or https:, whom a push service can ask
	Client  *webhook.Client
	Store   *Store
	Log     *slog.Logger
	// Sinks lists the web_push sinks of a pipeline, for the dashboard; nil: it is
	// not known here, and a subscription is for the whole pipeline.
	Sinks func(pipeline string) []string
	// May tells whether who asks may have the alerts of a sink ("" is all of
	// them); nil: anybody.
	May func(r *http.Request, pipeline, sink string) bool
	// Name is who asks; nil: nobody in particular.
	Name func(r *http.Request) string
}

// Pusher delivers notes to browsers, and answers the dashboard.
type Pusher struct {
	o Options

	mu    sync.Mutex
	bench map[string]time.Time // endpoints that are left out until then
}

// An endpoint that fails must not hold up the alerts of all others: after
// patience attempts at one note, of which others have had it, it goes without,
// and is left out for benchTime.
const (
	patience  = 4
	benchTime = 10 * time.Minute
)

func (p *Pusher) benched(endpoint string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.bench[endpoint]
	if ok && !time.Now().Before(until) {
		delete(p.bench, endpoint)
		ok = false
	}
	return ok
}

// New makes a pusher.
func New(o Options) (*Pusher, error) {
	if o.Keys == nil || o.Client == nil || o.Store == nil {
		return nil, errors.New("make pusher: keys, client and store are needed")
	}
	if u, err := url.Parse(o.Subject); err != nil || u.Scheme != "mailto" && u.Scheme != "https" {
		return nil, errors.New("alerts.push.subject is mailto:… or https://…: whom a push service can ask")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Pusher{o: o, bench: map[string]time.Time{}}, nil
}

// atOnce bounds the pushes of one note under way.
const atOnce = 16

// urgencies are what a priority comes to: RFC 8030's word, and for how long a
// push service keeps the message for a browser that is away.
var urgencies = map[string]struct {
	urgency string
	ttl     time.Duration
}{
	"low": {"low", time.Hour}, "normal": {"normal", 12 * time.Hour}, "high": {"high", 24 * time.Hour}, "urgent": {"high", 72 * time.Hour},
}

// Deliver makes the sender of one sink's notes.
func (p *Pusher) Deliver(pipeline, sink string) outbox.Deliver {
	return func(ctx context.Context, n *outbox.Note) error {
		priority := n.Priority()
		subs, ok := p.o.Store.Of(pipeline, sink)
		if !ok {
			return &outbox.Failure{Err: errors.New("subscriptions are still being read"), After: time.Second}
		}
		done, _ := n.Progress.(map[string]bool)
		if done == nil {
			done = map[string]bool{}
			n.Progress = done
		}
		message := compose(pipeline, sink, priority, n)
		var mu sync.Mutex
		var failed *outbox.Failure
		var late []string
		var wg sync.WaitGroup
		slots := make(chan struct{}, atOnce)
		for _, sub := range subs {
			mu.Lock()
			skip := done[sub.Endpoint]
			mu.Unlock()
			if skip || p.benched(sub.Endpoint) {
				continue
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				f := p.push(ctx, sub, message, n, priority)
				mu.Lock()
				defer mu.Unlock()
				if f == nil {
					done[sub.Endpoint] = true
					return
				}
				late = append(late, sub.Endpoint)
				if failed == nil || f.After > failed.After {
					failed = f
				}
			})
		}
		wg.Wait()
		switch {
		case failed == nil:
			return nil
		case n.Attempt < patience || len(done) == 0:
			return failed
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, endpoint := range late {
			p.bench[endpoint] = time.Now().Add(benchTime)
		}
		p.o.Log.Warn("some browsers go without an alert: their push services fail", "id", n.ID, "browsers", len(late), "left_out_for", benchTime, "err", failed)
		return nil
	}
}

// push sends one message to one browser. It gives only failures that are worth
// another attempt.
func (p *Pusher) push(ctx context.Context, sub Subscription, message []byte, n *outbox.Note, priority string) *outbox.Failure {
	to, err := url.Parse(sub.Endpoint)
	if err != nil {
		return nil
	}
	body, err := encrypt(message, sub)
	if err != nil {
		p.o.Log.Error("push is not sent", "host", to.Host, "err", err)
		return nil
	}
	authorization, err := p.o.Keys.Authorization(to, p.o.Subject, time.Now())
	if err != nil {
		return &outbox.Failure{Err: err}
	}
	u := urgencies[priority]
	header := http.Header{"Content-Type": {"application/octet-stream"}, "Content-Encoding": {"aes128gcm"}, "Authorization": {authorization},
		"Ttl": {strconv.Itoa(int(u.ttl.Seconds()))}, "Urgency": {u.urgency}, "Topic": {tag(n)}, "User-Agent": {"leat"}}
	answer, err := p.o.Client.Post(ctx, to, header, body)
	switch {
	case err == nil:
		return nil
	case answer.Status == http.StatusNotFound || answer.Status == http.StatusGone:
		if err := p.o.Store.Remove(ctx, Subscription{Endpoint: sub.Endpoint}); err != nil {
			p.o.Log.Warn("a subscription is gone and cannot be deleted now", "host", to.Host, "err", err)
		}
		return nil
	}
	f := &outbox.Failure{Err: err}
	errors.As(err, &f)
	if f.Permanent {
		p.o.Log.Error("push is refused", "host", to.Host, "err", err)
		return nil
	}
	return f
}

// tag names what a notification is about: a newer one takes the older one's
// place, at the push service and on the screen. 32 characters of base64url, as
// Topic may have.
func tag(n *outbox.Note) string {
	about := string(n.Topic) + "\x00" + string(n.Key)
	if n.Key == nil {
		about = n.ID
	}
	hash := sha256.Sum256([]byte(about))
	return coding.EncodeToString(hash[:24])
}

// message is what the page's service worker shows.
type message struct {
	Title    string `json:"title"`
	Body     string `json:"body"`
	Tag      string `json:"tag"`
	ID       string `json:"id"`
	URL      string `json:"url"`
	Pipeline string `json:"pipeline"`
	Sink     string `json:"sink"`
	Status   string `json:"status"`
	Priority string `json:"priority"`
	At       int64  `json:"at,omitempty"`
}

// compose makes a message that fits.
func compose(pipeline, sink, priority string, n *outbox.Note) []byte {
	var row map[string]json.RawMessage
	var alert struct {
		Status string  `json:"status"`
		At     int64   `json:"at"`
		Count  int     `json:"count"`
		Title  *string `json:"title"`
		Text   *string `json:"text"`
	}
	_ = json.Unmarshal(n.Value, &row) // a value of another kind has no columns to show
	_ = json.Unmarshal(row["alert"], &alert)
	m := message{Title: sink + ": " + alert.Status, Tag: tag(n), ID: n.ID, URL: "/d/" + url.PathEscape(pipeline), Pipeline: pipeline, Sink: sink,
		Status: alert.Status, Priority: priority, At: alert.At}
	if alert.Title != nil {
		m.Title = *alert.Title
	}
	if alert.Text != nil {
		m.Body = *alert.Text
	} else {
		var parts []string
		if alert.Count > 1 {
			parts = append(parts, fmt.Sprintf("%d alerts", alert.Count))
		}
		for _, name := range slices.Sorted(maps.Keys(row)) {
			if name != "alert" && name != "alerts" {
				parts = append(parts, name+" "+strings.Trim(string(row[name]), `"`))
			}
		}
		m.Body = strings.Join(parts, ", ")
	}
	const mostTitle, mostBody = 200, 1000 // bytes; screens show less, JSON may make three of one
	m.Title, m.Body = cut(m.Title, mostTitle), cut(m.Body, mostBody)
	for {
		out, err := json.Marshal(m)
		if err == nil && len(out) <= mostPlain {
			return out
		}
		if m.Body == "" {
			m.Title, m.ID = cut(m.Title, 50), ""
			out, _ = json.Marshal(m)
			return out
		}
		m.Body = cut(m.Body, len(m.Body)/2)
	}
}

// cut shortens a text to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if n < 4 {
		return ""
	}
	return strings.ToValidUTF8(s[:n-3], "") + "…"
}
