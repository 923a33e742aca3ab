package sse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/engine"
)

// filter keeps the rows whose key columns have the given texts. The zero
// filter keeps all. It saves bandwidth; it is no access right. A row's key
// columns are its identity, so a row never moves in or out of a filter.
type filter struct {
	canon   string // sorted: equal filters share one encoding
	columns []string
	texts   []string
}

// parseFilter reads the key= parameters: "column:text", or the text alone
// where the view has one key column beside the window.
func parseFilter(v engine.ViewSpec, params []string) (filter, error) {
	var own []string
	for _, c := range v.KeyColumns {
		if c != "window_start" && c != "window_end" {
			own = append(own, c)
		}
	}
	params = slices.Clone(params)
	for i, p := range params {
		column, _, ok := strings.Cut(p, ":")
		switch {
		case ok && slices.Contains(v.KeyColumns, column):
		case len(own) == 1:
			params[i] = own[0] + ":" + p
		default:
			return filter{}, fmt.Errorf("key=%s: name the column, as in key=column:text; key columns: %s", p, strings.Join(v.KeyColumns, ", "))
		}
	}
	slices.Sort(params)
	params = slices.Compact(params)
	f := filter{canon: strings.Join(params, "\x00")}
	for _, p := range params {
		column, want, _ := strings.Cut(p, ":")
		f.columns, f.texts = append(f.columns, column), append(f.texts, want)
	}
	return f, nil
}

// match tells whether a row (a JSON object) is kept.
func (f filter) match(row []byte) bool {
	for i, c := range f.columns {
		raw, ok := field(row, c)
		if !ok || text(raw) != f.texts[i] {
			return false
		}
	}
	return true
}
