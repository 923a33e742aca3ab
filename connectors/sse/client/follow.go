package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Options of Follow; the zero value follows without telling anybody.
type Options struct {
	// Patches asks for changed rows as JSON patches, where these are shorter:
	// for rows that are large documents.
	Patches bool
	// OnChange is called from Follow's goroutine after each change of the rows.
	OnChange func(t *Table, c Change)
	// OnMark is called with the data of each mark: a second's news of lag and
	// watermark.
	OnMark func(data json.RawMessage)
	// OnState is called with "connecting", "live", and "waiting" with the reason.
	OnState func(state, reason string)
	// Authorize is called before each request, to set a fresh token.
	Authorize func(r *http.Request) error
	// HTTP does the requests; it must not have a Timeout. Default: a client of
	// its own.
	HTTP *http.Client
	// Random gives numbers in [0, 1) for jitter; default math/rand.
	Random func() float64
}

// Refused is an answer that trying again would not change.
type Refused struct {
	Status  int
	Message string
}

// Error is the server's message.
func (e *Refused) Error() string {
	return fmt.Sprintf("follow the view: the server answers %d: %s", e.Status, e.Message)
}

const (
	firstWait = time.Second      // after the first failure at most; doubles
	maxWait   = 30 * time.Second // between two tries
	maxLine   = 16 << 20         // bytes of an event: a row may be large
)

// Follow keeps a view's rows until ctx ends or the server refuses (*Refused).
// address is the view's stream, with key= and where= as its query may have. What
// breaks is tried again, from the last cursor, after a random wait.
func Follow(ctx context.Context, address string, o Options) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("follow the view: %w", err)
	}
	if o.Patches {
		q := u.Query()
		q.Set("format", "json-patch")
		u.RawQuery = q.Encode()
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	f := &follower{Options: o, url: u.String(), table: newTable(), silence: 45 * time.Second}
	for ctx.Err() == nil {
		f.state("connecting", "")
		err := f.once(ctx)
		var refused *Refused
		if errors.As(err, &refused) {
			return err
		}
		if ctx.Err() == nil {
			f.wait(ctx, err)
		}
	}
	return ctx.Err()
}

// follower is one call of Follow.
type follower struct {
	Options
	url      string
	table    *Table
	cursor   string
	failures int           // in a row, without a hello
	told     time.Duration // when the server wants us back; 0: it did not say
	silence  time.Duration // of the server, after which the line is dead
}

func (f *follower) state(state, reason string) {
	if f.OnState != nil {
		f.OnState(state, reason)
	}
}

// wait lets the time pass until the next try: what the server said, or full
// jitter over a time that doubles.
func (f *follower) wait(ctx context.Context, err error) {
	d := f.told
	if f.told = 0; d == 0 {
		f.failures++
		d = time.Duration(f.Random() * float64(min(maxWait, firstWait<<min(f.failures-1, 10))))
	}
	f.state("waiting", err.Error())
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// once reads one connection to its end; the error says why it ended.
func (f *follower) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return &Refused{0, err.Error()}
	}
	req.Header.Set("Accept", "text/event-stream")
	if f.cursor != "" {
		req.Header.Set("Last-Event-ID", f.cursor)
	}
	if f.Authorize != nil {
		if err := f.Authorize(req); err != nil {
			return fmt.Errorf("authorize: %w", err)
		}
	}
	watch := time.AfterFunc(f.silence, func() { cancel(errors.New("the server is silent")) })
	defer watch.Stop()
	res, err := f.HTTP.Do(req)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	defer res.Body.Close()
	if err := f.check(res); err != nil {
		return err
	}
	err = f.read(res.Body, func() { watch.Reset(f.silence) })
	return errors.Join(context.Cause(ctx), err)
}

// check reads an answer that is no stream.
func (f *follower) check(res *http.Response) error {
	kind := res.Header.Get("Content-Type")
	if res.StatusCode == http.StatusOK && strings.HasPrefix(kind, "text/event-stream") {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	message := strings.TrimSpace(string(body))
	var e struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &e) == nil && e.Error != "" {
		message = e.Error
	}
	switch s := res.StatusCode; {
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500:
		if sec, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && sec > 0 {
			f.told = time.Duration((1 + f.Random()) * float64(sec) * float64(time.Second))
		}
		return fmt.Errorf("the server answers %d: %s", s, message)
	default:
		return &Refused{s, message}
	}
}

// read takes events until the stream ends, and says how it did. alive is called with every line.
func (f *follower) read(body io.Reader, alive func()) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var event, id, data string
	for lines.Scan() {
		alive()
		line := lines.Text()
		if line == "" {
			if err := f.take(event, data, id); err != nil {
				return err
			}
			event, id, data = "", "", ""
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			event = value
		case "id":
			id = value
		case "data":
			if data != "" {
				data += "\n"
			}
			data += value
		case "retry":
			if ms, err := strconv.Atoi(value); err == nil && ms >= 0 {
				f.told = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	return errors.New("the stream ended")
}

// take takes one block: first its rows, then its cursor.
func (f *follower) take(event, data, id string) error {
	if event != "" {
		var p payload
		if err := json.Unmarshal([]byte(data), &p); err != nil {
			return fmt.Errorf("read event %s: %w", event, err)
		}
		c, err := f.table.apply(event, &p)
		if err != nil {
			f.cursor, f.told = "", time.Millisecond // everything anew, at once
			return err
		}
		switch event {
		case "hello":
			f.failures = 0
			if p.HeartbeatMS > 0 {
				f.silence = 3 * time.Duration(p.HeartbeatMS) * time.Millisecond
			}
		case "ready":
			f.state("live", "")
		case "mark":
			if f.OnMark != nil {
				f.OnMark(json.RawMessage(data))
			}
		case "drain":
			f.told = time.Duration(max(1, p.RetryMS)) * time.Millisecond
		}
		if !c.empty() && f.OnChange != nil {
			f.OnChange(f.table, c)
		}
	}
	if id != "" {
		f.cursor = id
	}
	return nil
}
