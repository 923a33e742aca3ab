package sse

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat/engine"
)

// order is how a query sorts rows: by a column, either way, then by key. Of
// one column there is numbers before texts before all else, and what is null
// or missing comes last, both ways.
type order struct {
	text   string // as asked for
	column string // "": the key alone
	down   bool
	whole  bool // the column holds integers: those that are text are numbers, too
}

// sortKey is a row's value in an order.
type sortKey struct {
	rank  uint8 // of the kind of value
	num   float64
	whole bool
	n     int64 // where whole: exact
	text  string
}

// The ranks of values.
const (
	rankBool = iota
	rankNumber
	rankText
	rankOther // lists and objects, by their JSON
	rankNull
)

// maxSortText is how much of a text counts in an order: the rest is decided
// by the key. It keeps tokens short.
const maxSortText = 256

func parseOrder(v engine.ViewSpec, text string) (order, *badParam) {
	o := order{text: text}
	o.column, o.down = strings.CutPrefix(text, "-")
	if o.column == "_key" {
		o.column = ""
	}
	if o.column == "" {
		if text == "-" {
			return order{}, bad("order", "a column is missing behind the minus")
		}
		return o, nil
	}
	i := slices.IndexFunc(v.Columns, func(c engine.ViewColumn) bool { return c.Name == o.column })
	if i < 0 {
		names := []string{"_key"}
		for _, c := range v.Columns {
			names = append(names, c.Name)
		}
		return order{}, bad("order", "there is no column %q; there are: %s", o.column, strings.Join(names, ", "))
	}
	o.whole = v.Columns[i].Type == "int" || v.Columns[i].Type == "timestamp"
	return o, nil
}

// key reads a row's value.
func (o order) key(r *found) sortKey {
	if o.column == "" {
		return sortKey{}
	}
	raw, ok := field(r.value, o.column)
	if !ok || len(raw) == 0 {
		return sortKey{rank: rankNull}
	}
	switch c := raw[0]; {
	case c == 'n':
		return sortKey{rank: rankNull}
	case c == 't':
		return sortKey{rank: rankBool, n: 1, whole: true}
	case c == 'f':
		return sortKey{rank: rankBool, whole: true}
	case c == '"':
		s := text(raw)
		if o.whole {
			if n, err := strconv.ParseInt(s, 10, 64); err == nil {
				return sortKey{rank: rankNumber, num: float64(n), n: n, whole: true}
			}
		}
		return sortKey{rank: rankText, text: clipped(s)}
	case c == '{' || c == '[':
		return sortKey{rank: rankOther, text: clipped(string(raw))}
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return sortKey{rank: rankNumber, num: float64(n), n: n, whole: true}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil && f == 0 {
		return sortKey{rank: rankOther, text: clipped(string(raw))}
	}
	return sortKey{rank: rankNumber, num: f}
}

func clipped(s string) string {
	if len(s) > maxSortText {
		s = s[:maxSortText]
	}
	return strings.ToValidUTF8(s, "")
}

// compare tells which of two rows comes first; rows of one key are equal.
func (o order) compare(a, b *found) int {
	x, y := &a.at, &b.at
	if x.rank == rankNull || y.rank == rankNull {
		if c := cmp.Compare(x.rank, y.rank); c != 0 {
			return c
		}
	}
	c := cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(x.num, y.num), boolCompare(x.whole, y.whole), cmp.Compare(x.n, y.n), cmp.Compare(x.text, y.text), cmp.Compare(a.key, b.key))
	if o.down {
		return -c
	}
	return c
}

// boolCompare puts true first.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// place is where a page ended.
type place struct {
	key string
	at  sortKey
}

// placeJSON is a token's content. Its reader asks for nothing that it may not
// see: it only says from where on.
type placeJSON struct {
	Query string  `json:"q"` // hash of the query it belongs to
	Key   []byte  `json:"k"`
	Rank  uint8   `json:"r,omitempty"`
	Num   float64 `json:"f,omitempty"`
	Whole bool    `json:"w,omitempty"`
	N     int64   `json:"n,omitempty"`
	Text  string  `json:"t,omitempty"`
}

func queryHash(canon string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(canon))
	return strconv.FormatUint(h.Sum64(), 36)
}

// token is the place as next=, good for one query only.
func (p place) token(canon string) string {
	b, err := json.Marshal(placeJSON{queryHash(canon), []byte(p.key), p.at.rank, p.at.num, p.at.whole, p.at.n, p.at.text})
	if err != nil {
		panic(fmt.Sprintf("encode a place: %v", err)) // a number of JSON is finite
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePlace(token, canon string) (*place, *badParam) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	var p placeJSON
	if err != nil || json.Unmarshal(b, &p) != nil || p.Rank > rankNull {
		return nil, bad("next", "it is no token of this server's")
	}
	if p.Query != queryHash(canon) {
		return nil, bad("next", "it belongs to another query: repeat all other parameters as they were")
	}
	return &place{string(p.Key), sortKey{p.Rank, p.Num, p.Whole, p.N, p.Text}}, nil
}
