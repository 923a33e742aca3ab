package sse

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat/engine"
)

// A query reads a view's rows as they are now, at one version of its table:
//
//	key=      ─▶ looked up, where it names whole record keys ─┐
//	prefix=      compared while the table is copied           ├▶ where=, the viewer's right
//	window_…=    compared while the table is copied          ─┘   ─▶ order ─▶ limit
//
// Rows are copied under the view's lock and judged outside it. Paging is by
// place, not by number: next= holds the order's value and the key of the last
// row, so that rows that come and go meanwhile neither repeat others nor hide
// them.

// maxScans bounds the queries of a hub that copy a whole table at the same time.
const maxScans = 4

// query is a request for rows, checked.
type query struct {
	filter filter
	keys   []string // the record keys to look up; nil: scan
	prefix func(r *found) bool
	lead   string // what every record key asked for begins with
	ends   bool   // window_end is asked about: in [from, to)
	from   int64
	to     int64
	order  order
	limit  int
	after  *place // nil: from the beginning
	csv    bool
	canon  string // equal queries have equal ones, whatever page they ask for
}

// found is a row that a query copied.
type found struct {
	key   string
	value []byte
	at    sortKey
}

// serveRows is GET /v1/views/{pipeline}/{sink}, the read side.
func (h *Hub) serveRows(w http.ResponseWriter, r *http.Request) {
	v, right := h.admitted(w, r)
	if v == nil {
		return
	}
	q, wrong := h.queryOf(r, v, right)
	if wrong != nil {
		refuseParam(w, wrong)
		return
	}
	tag, caught := h.tag(v, q)
	if !caught {
		notYet(w)
		return
	}
	w.Header().Set("Vary", "Accept, Authorization, Cookie")
	w.Header().Set("ETag", tag)
	if q.filter.right != nil {
		w.Header().Del("ETag") // it would tell of changes of rows that are not the viewer's
	}
	if q.filter.right == nil && matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if q.keys == nil {
		select {
		case h.scans <- struct{}{}:
			defer func() { <-h.scans }()
		case <-r.Context().Done():
			return
		}
	}
	rows, state, caught := v.find(q)
	if !caught {
		notYet(w)
		return
	}
	// The table may have moved on since the tag was made: this is the rows'.
	if q.filter.right == nil {
		w.Header().Set("ETag", state.tag(h, q))
	} else {
		state.status.Rows, state.status.Rest = len(rows), 0 // nor how many those are
	}
	page, next := q.page(rows)
	if next != "" {
		w.Header().Set("Link", "<"+nextURL(r.URL, next)+`>; rel="next"`)
	}
	if q.csv {
		writeCSV(w, v.spec, page)
		return
	}
	list := make([]json.RawMessage, len(page))
	for i := range page {
		list[i] = appendRow(nil, &row{key: page[i].key, value: page[i].value})
	}
	out := map[string]any{"view": v.name, "status": state.status, "rows": list}
	if next != "" {
		out["next"] = next
	}
	answer(w, out)
}

func notYet(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, "this node is still reading the view; ask again in a second")
}

// queryOf reads a request by its route.
func (h *Hub) queryOf(r *http.Request, v *view, right string) (query, *badParam) {
	a, wrong := routeOf("GET /v1/views/{pipeline}/{sink}").read(r)
	if wrong != nil {
		return query{}, wrong
	}
	q := query{limit: int(a.whole["limit"]), from: engine.MinTime, to: engine.MaxTime}
	var err error
	if q.filter, err = h.filterOf(r, v, right); err != nil {
		name, _, _ := strings.Cut(err.Error(), "=")
		if name != "key" && name != "where" {
			name = "view"
		}
		return query{}, &badParam{name, err.Error()}
	}
	q.keys = recordKeys(v.spec, q.filter)
	for _, name := range []string{"window_from", "window_to"} {
		if a.has(name) && !v.spec.Windowed {
			return query{}, bad(name, "the rows of this view have no window")
		}
	}
	if a.has("window_from") {
		q.ends, q.from = true, a.whole["window_from"]
	}
	if a.has("window_to") {
		q.ends, q.to = true, a.whole["window_to"]
	}
	if q.from > q.to {
		return query{}, bad("window_to", "it lies before window_from")
	}
	if wrong = q.prefixes(v.spec, a); wrong != nil {
		return query{}, wrong
	}
	if q.order, wrong = parseOrder(v.spec, a.text("order")); wrong != nil {
		return query{}, wrong
	}
	q.csv = a.text("format") == "csv" || !a.has("format") && prefersCSV(r.Header.Values("Accept"))
	q.canon = fmt.Sprintf("%s\x00%s\x00%d\x00%d\x00%s\x00%s\x00%d", v.name, q.filter.canon, q.from, q.to, a.text("prefix"), q.order.text, v.spec.Generation)
	if a.has("next") {
		if q.after, wrong = parsePlace(a.text("next"), q.canon); wrong != nil {
			return query{}, wrong
		}
	}
	return q, nil
}

// recordKeys gives the record keys that a filter's key columns stand for,
// where it names all columns of the key; nil: only a scan can tell.
func recordKeys(v engine.ViewSpec, f filter) []string {
	if len(v.KeyColumns) == 0 {
		return nil
	}
	keys := []string{""}
	if len(v.KeyColumns) > 1 {
		keys[0] = "{"
	}
	for n, column := range v.KeyColumns {
		typ := ""
		for _, c := range v.Columns {
			if c.Name == column {
				typ = c.Type
			}
		}
		var longer []string
		for i, c := range f.columns {
			if c != column {
				continue
			}
			part, ok := keyPart(column, typ, f.texts[i], len(v.KeyColumns) > 1)
			if !ok {
				return nil
			}
			for _, k := range keys {
				if n > 0 {
					k += ","
				}
				longer = append(longer, k+part)
			}
		}
		if keys = longer; len(keys) == 0 || len(keys) > 10000 {
			return nil
		}
	}
	for i := range keys {
		switch {
		case len(v.KeyColumns) > 1:
			keys[i] += "}"
		case strings.HasPrefix(keys[i], "\x00"):
			keys[i] = escapedKey + keys[i]
		}
	}
	return keys
}

// keyPart is a column's part in a record key, as the sink writes it.
func keyPart(column, typ, text string, several bool) (part string, ok bool) {
	if !several {
		if typ == "bytes" {
			raw, err := base64.StdEncoding.DecodeString(text)
			return string(raw), err == nil
		}
		return text, typ != "" && typ != "any" && text != "null"
	}
	name := string(engine.AppendString(nil, column)) + ":"
	switch typ {
	case "string", "bytes":
		return name + string(engine.AppendString(nil, text)), text != "null" // which a null is written as, too
	case "int", "double", "bool", "timestamp":
		return name + text, true
	}
	return "", false
}

// prefixes reads prefix=: of a key column's text where there are any, else of
// the row's identity.
func (q *query) prefixes(v engine.ViewSpec, a args) *badParam {
	if !a.has("prefix") {
		return nil
	}
	want := a.text("prefix")
	if len(v.KeyColumns) == 0 {
		q.prefix = func(r *found) bool { return strings.HasPrefix(keyText(r.key), want) }
		return nil
	}
	column, rest, named := strings.Cut(want, ":")
	own := ownKeys(v)
	switch {
	case named && slices.Contains(v.KeyColumns, column):
		want = rest
	case len(own) == 1:
		column = own[0]
	default:
		return bad("prefix", "name the column, as in prefix=column:text; key columns: %s", strings.Join(v.KeyColumns, ", "))
	}
	q.prefix = func(r *found) bool {
		raw, ok := field(r.value, column)
		return ok && strings.HasPrefix(text(raw), want)
	}
	if len(v.KeyColumns) == 1 && want != "" && want[0] != 0 && slices.ContainsFunc(v.Columns, func(c engine.ViewColumn) bool { return c.Name == column && c.Type == "string" }) {
		q.lead = want
	}
	return nil
}

// ownKeys are the key columns beside the window.
func ownKeys(v engine.ViewSpec) []string {
	return slices.DeleteFunc(slices.Clone(v.KeyColumns), func(c string) bool { return c == "window_start" || c == "window_end" })
}

// reading is what a table was when it was read.
type reading struct {
	status  status
	epoch   string
	version uint64
}

// tag is a validator of a query's answer: weak, as the status beside the rows
// may differ. Versions are a node's own, hence its random part.
func (s reading) tag(h *Hub, q query) string {
	f := fnv.New64a()
	fmt.Fprintf(f, "%s\x00%d\x00%v", q.canon, q.limit, q.csv)
	if q.after != nil {
		fmt.Fprintf(f, "%q%v", q.after.key, q.after.at)
	}
	floor := int64(0)
	if s.status.ExpireBefore != nil {
		floor = *s.status.ExpireBefore
	}
	return fmt.Sprintf(`W/"%s.%s.%d.%d.%x"`, h.node, s.epoch, s.version, floor, f.Sum64())
}

func (h *Hub) tag(v *view, q query) (string, bool) {
	v.mu.Lock()
	s, caught := v.reading(), v.caught
	v.mu.Unlock()
	return s.tag(h, q), caught
}

// reading says what the table is; mu is held.
func (v *view) reading() reading {
	return reading{v.status(v.table), v.epoch, v.table.version}
}

// find copies the rows that may be asked for, under the lock, and judges them
// outside it. Rows never change in place, so all are of one version.
func (v *view) find(q query) (rows []found, s reading, caught bool) {
	v.mu.Lock()
	if !v.caught {
		v.mu.Unlock()
		return nil, reading{}, false
	}
	s = v.reading()
	take := func(r *row) {
		if r.value != nil && (!q.ends || r.end >= q.from && r.end < q.to) && strings.HasPrefix(r.key, q.lead) {
			rows = append(rows, found{key: r.key, value: r.value})
		}
	}
	if q.keys != nil {
		for _, k := range q.keys {
			if r := v.table.rows[k]; r != nil {
				take(r)
			}
		}
	} else {
		if !q.ends && q.lead == "" {
			rows = make([]found, 0, v.table.live)
		}
		for r := v.table.list.next; r != &v.table.list; r = r.next {
			take(r)
		}
	}
	v.mu.Unlock()

	kept := rows[:0]
	for i := range rows {
		r := &rows[i]
		if (q.prefix == nil || q.prefix(r)) && q.filter.match(r.value) {
			r.at = q.order.key(r)
			kept = append(kept, *r)
		}
	}
	return kept, s, true
}

// page sorts rows and gives those after the place asked for, at most limit,
// and the token of the rest.
func (q query) page(rows []found) (page []found, next string) {
	if q.after != nil {
		rows = slices.DeleteFunc(rows, func(r found) bool { return q.order.compare(&r, &found{key: q.after.key, at: q.after.at}) <= 0 })
	}
	// Only the first limit rows need an order among each other.
	need := q.limit + 1
	page = make([]found, 0, min(len(rows), 2*need))
	compare := func(a, b found) int { return q.order.compare(&a, &b) }
	for _, r := range rows {
		if page = append(page, r); len(page) == 2*need {
			slices.SortFunc(page, compare)
			page = page[:need]
		}
	}
	slices.SortFunc(page, compare)
	page = slices.CompactFunc(page, func(a, b found) bool { return a.key == b.key })
	if len(page) <= q.limit {
		return page, ""
	}
	page = page[:q.limit]
	last := page[q.limit-1]
	return page, place{last.key, last.at}.token(q.canon)
}

// nextURL is a request's URL with another token.
func nextURL(u *url.URL, next string) string {
	values := u.Query()
	values.Set("next", next)
	return u.EscapedPath() + "?" + values.Encode()
}

// matches tells whether an If-None-Match names a tag; weak comparison.
func matches(headers []string, tag string) bool {
	for _, h := range headers {
		for one := range strings.SplitSeq(h, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

// prefersCSV reads Accept: text/csv above JSON.
func prefersCSV(headers []string) bool {
	var csv, js float64
	for _, h := range headers {
		for one := range strings.SplitSeq(h, ",") {
			media, params, _ := strings.Cut(one, ";")
			q := 1.0
			for p := range strings.SplitSeq(params, ";") {
				if v, ok := strings.CutPrefix(strings.TrimSpace(p), "q="); ok {
					q, _ = strconv.ParseFloat(v, 64)
				}
			}
			switch strings.ToLower(strings.TrimSpace(media)) {
			case "text/csv":
				csv = max(csv, q)
			case "application/json", "application/*":
				js = max(js, q)
			}
		}
	}
	return csv > js
}
