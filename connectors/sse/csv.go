package sse

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat/engine"
)

// writeCSV answers rows as text/csv: a header line and a line per row, with
// CRLF, quoted as RFC 4180 says. null is an empty cell.
//
// Text that a spreadsheet would run (it begins with = + - @, a tab or a CR)
// gets an apostrophe in front, in cells and in the header; numbers are left as
// they are. Who needs every byte asks for JSON.
func writeCSV(w http.ResponseWriter, v engine.ViewSpec, rows []found) {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="`+fileName(v.Pipeline+"-"+v.Sink)+`.csv"`)
	columns := csvColumns(v)
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = guarded(c)
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write(cells) // an error is the connection's
	for i := range rows {
		for n, c := range columns {
			cells[n] = cell(rows[i].value, c)
		}
		if out.Write(cells) != nil {
			return
		}
	}
	out.Flush()
}

// csvColumns are the view's, and what the sink adds to them.
func csvColumns(v engine.ViewSpec) []string {
	var names []string
	for _, c := range v.Columns {
		names = append(names, c.Name)
	}
	if v.Windowed && !slices.Contains(names, "final") {
		names = append(names, "final")
	}
	if v.Stream {
		names = append(names, "_time")
	}
	return names
}

func cell(row []byte, column string) string {
	raw, ok := field(row, column)
	if !ok || string(raw) == "null" {
		return ""
	}
	if raw[0] == '"' {
		return guarded(text(raw))
	}
	return string(raw)
}

// guarded keeps a spreadsheet from taking text for a formula.
func guarded(s string) string {
	if s == "" || !strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0]) {
		return s
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil && strings.IndexByte("+-", s[0]) >= 0 && len(s) > 1 && (s[1] >= '0' && s[1] <= '9') {
		return s // a number: an int beyond 2^53 is text
	}
	return "'" + s
}

// fileName keeps what any file system takes.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, s)
}
