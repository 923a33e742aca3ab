package naive

import (
	"encoding/json"
	"strconv"
	"strings"
)

// WireKey is a record's key: the text of one column, a JSON object of several.
// ok is false where one column is null.
func WireKey(v map[string]any, columns []string) (key string, ok bool) {
	if len(columns) == 1 {
		switch x := v[columns[0]].(type) {
		case nil:
			return "", false
		case string:
			return x, true
		default:
			return text(x), true
		}
	}
	var parts []string
	for _, c := range columns {
		parts = append(parts, text(c)+":"+text(v[c]))
	}
	return "{" + strings.Join(parts, ",") + "}", true
}

// text is a value as JSON.
func text(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // plain values always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}
