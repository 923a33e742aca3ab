package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"sync"

	"github.com/leatstream/leat/connectors/sse/patch"
)

// Table is a view's rows as they are known here. Its methods may be called from
// any goroutine.
type Table struct {
	mu        sync.Mutex
	rows      map[string]json.RawMessage
	gathering map[string]json.RawMessage // the snapshot under way
	windowed  bool
	epoch     string
	watermark *int64
	before    int64 // windows that end before it are gone, epoch ms
}

func newTable() *Table {
	return &Table{rows: map[string]json.RawMessage{}, before: math.MinInt64}
}

// Get is a row by its _key: a JSON object without it.
func (t *Table) Get(key string) (json.RawMessage, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, ok := t.rows[key]
	return r, ok
}

// Rows copies the table: rows by _key.
func (t *Table) Rows() map[string]json.RawMessage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.rows)
}

// Len is the number of rows.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rows)
}

// Watermark is how far the view is complete, epoch ms; ok is false where that
// is not known.
func (t *Table) Watermark() (ms int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watermark == nil {
		return 0, false
	}
	return *t.watermark, true
}

// Change says which rows changed.
type Change struct {
	Reset    bool     // all rows were replaced
	Upserted []string // _keys
	Deleted  []string // _keys; those of windows that are gone, too
}

func (c Change) empty() bool { return !c.Reset && len(c.Upserted)+len(c.Deleted) == 0 }

// payload is the data of any event.
type payload struct {
	Epoch        string            `json:"epoch"`
	Windowed     bool              `json:"windowed"`
	HeartbeatMS  int64             `json:"heartbeat_ms"`
	Rows         []json.RawMessage `json:"rows"`
	Upsert       []json.RawMessage `json:"upsert"`
	Delete       []string          `json:"delete"`
	Patch        []patched         `json:"patch"`
	Watermark    *int64            `json:"watermark"`
	ExpireBefore *int64            `json:"expire_before"`
	RetryMS      int64             `json:"retry_ms"`
	Reason       string            `json:"reason"`
}

// patched is a row that changed, as a patch.
type patched struct {
	Key  string     `json:"_key"`
	Base string     `json:"base"`
	Hash string     `json:"hash"`
	Ops  []patch.Op `json:"ops"`
}

// apply takes an event. An error says that the rows can no longer be trusted.
func (t *Table) apply(event string, p *payload) (c Change, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch event {
	case "hello":
		if t.windowed = p.Windowed; t.epoch != p.Epoch {
			t.epoch, t.watermark, t.before = p.Epoch, nil, math.MinInt64
		}
		t.gathering = nil
		return c, nil
	case "snapshot":
		if t.gathering == nil {
			t.gathering = map[string]json.RawMessage{}
		}
		if _, err = put(t.gathering, p.Rows); err != nil {
			return c, err
		}
	case "ready":
		if t.gathering != nil {
			t.rows, t.gathering, c.Reset = t.gathering, nil, true
		}
	case "delta":
		if c.Upserted, err = put(t.rows, p.Upsert); err != nil {
			return c, err
		}
		for _, k := range p.Delete {
			if _, ok := t.rows[k]; ok {
				delete(t.rows, k)
				c.Deleted = append(c.Deleted, k)
			}
		}
		for _, one := range p.Patch {
			if err := t.patch(one); err != nil {
				return c, err
			}
			c.Upserted = append(c.Upserted, one.Key)
		}
	case "mark":
	default:
		return c, nil
	}
	t.time(p, &c)
	return c, nil
}

// put sets rows by the _key in each, which is taken out.
func put(to map[string]json.RawMessage, rows []json.RawMessage) (keys []string, err error) {
	for _, r := range rows {
		key, rest, err := identity(r)
		if err != nil {
			return nil, err
		}
		to[key] = rest
		keys = append(keys, key)
	}
	return keys, nil
}

// identity takes the _key out of a row: it is the last member.
func identity(row json.RawMessage) (key string, rest json.RawMessage, err error) {
	i := bytes.LastIndex(row, []byte(`"_key":`))
	if i < 0 {
		return "", nil, fmt.Errorf("read a row: it has no _key: %.100s", row)
	}
	// A key may hold the text itself: then the last one is inside a string.
	for ; i >= 0; i = bytes.LastIndex(row[:i], []byte(`"_key":`)) {
		if json.Unmarshal(bytes.TrimSpace(row[i+len(`"_key":`):len(row)-1]), &key) == nil {
			break
		}
	}
	if i < 0 {
		return "", nil, fmt.Errorf("read a row: its _key is no text: %.100s", row)
	}
	rest = append(bytes.TrimRight(bytes.Clone(row[:i]), ", \t"), '}')
	return key, rest, nil
}

func (t *Table) patch(p patched) error {
	old, err := patch.Decode(t.rows[p.Key])
	if err != nil || patch.Hash(old) != p.Base {
		return fmt.Errorf("patch row %q: it is not the one that the patch is for", p.Key)
	}
	now, err := patch.Apply(old, p.Ops)
	if err != nil {
		return fmt.Errorf("patch row %q: %w", p.Key, err)
	}
	if patch.Hash(now) != p.Hash {
		return fmt.Errorf("patch row %q: it became another one than the server's", p.Key)
	}
	text, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("patch row %q: %w", p.Key, err)
	}
	t.rows[p.Key] = text
	return nil
}

// time takes the watermark, and drops the rows of windows that are gone.
func (t *Table) time(p *payload, c *Change) {
	if p.Watermark != nil {
		t.watermark = p.Watermark
	}
	if p.ExpireBefore != nil {
		t.before = max(t.before, *p.ExpireBefore)
	}
	if !t.windowed || p.ExpireBefore == nil && !c.Reset {
		return
	}
	for key, row := range t.rows {
		if end, ok := windowEnd(row); ok && end < t.before {
			delete(t.rows, key)
			c.Deleted = append(c.Deleted, key)
		}
	}
}

func windowEnd(row json.RawMessage) (int64, bool) {
	var w struct {
		End json.RawMessage `json:"window_end"`
	}
	if json.Unmarshal(row, &w) != nil {
		return 0, false
	}
	end, err := strconv.ParseInt(string(bytes.Trim(w.End, `"`)), 10, 64)
	return end, err == nil
}
