package sse

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/engine"
)

// filter keeps the rows whose key columns have the given texts (of several
// texts for a column, one), that the asker's expression keeps, and that the
// viewer has a right to see. The zero filter keeps all. A row's key columns are its identity, so by them it never
// moves in or out of a filter; by an expression it may.
type filter struct {
	canon   string // equal filters share one encoding
	columns []string
	texts   []string
	asked   func(row []byte) bool // where=; nil: all. It saves bandwidth
	right   func(row []byte) bool // the gate's; nil: all
	patch   bool                  // rows that change go as JSON patches
}

// canonical is a text that equal claims share.
func canonical(claims map[string]any) string {
	b, err := json.Marshal(claims) // sorted by name
	if err != nil {
		return fmt.Sprint(claims) // shares less
	}
	return string(b)
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
	for i := 0; i < len(f.columns); {
		column, any := f.columns[i], false
		raw, ok := field(row, column)
		for ; i < len(f.columns) && f.columns[i] == column; i++ { // they are sorted
			any = any || ok && text(raw) == f.texts[i]
		}
		if !any {
			return false
		}
	}
	return (f.right == nil || f.right(row)) && (f.asked == nil || f.asked(row))
}
