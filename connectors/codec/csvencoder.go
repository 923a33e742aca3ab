package codec

import (
	"bytes"
	"strings"

	"github.com/leatstream/leat/engine"
)

// csvEncoders makes encoders of rows as csv, one line without its end; with
// CSV.Header below a line of names. Values are as in JSON, but text stands as
// it is, in quotes where it must, and null is an empty field (the empty text
// is ""). CSVRows reads it back.
func csvEncoders(schema *engine.Schema, opts EncoderOptions) (func() RowEncoder, error) {
	if _, err := ParseCSV(opts.CSV.Header, asText(opts.CSV.Delimiter), asText(opts.CSV.Quote)); err != nil {
		return nil, err
	}
	e := &csvRows{form: opts.CSV.filled(), style: opts.Style, cols: opts.columns(schema)}
	var head []byte
	if e.form.Header {
		for k, c := range e.cols {
			if k > 0 {
				head = append(head, e.form.Delimiter)
			}
			head = e.text(head, schema.Fields[c].Name)
		}
		head = append(head, '\n')
	}
	return func() RowEncoder {
		return &csvRows{form: e.form, style: e.style, cols: e.cols, head: head}
	}, nil
}

func asText(c byte) string {
	if c == 0 {
		return ""
	}
	return string(rune(c))
}

type csvRows struct {
	form    CSV
	style   engine.ValueStyle
	cols    []int
	head    []byte
	scratch []byte
}

func (e *csvRows) AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error) {
	dst = append(dst, e.head...)
	for k, c := range e.cols {
		if k > 0 {
			dst = append(dst, e.form.Delimiter)
		}
		col := &cols[c]
		switch {
		case col.Null(row):
		case col.Type == engine.String || col.Type == engine.Any:
			dst = e.text(dst, col.Strs[row])
		default:
			e.scratch = engine.AppendJSON(e.scratch[:0], col, row, e.style)
			if text := bytes.Trim(e.scratch, `"`); string(text) != "null" {
				dst = e.text(dst, view(text))
			}
		}
	}
	return dst, nil
}

// text appends a field that is not null.
func (e *csvRows) text(dst []byte, s string) []byte {
	q := e.form.Quote
	if s != "" && strings.IndexByte(s, q) < 0 && strings.IndexByte(s, e.form.Delimiter) < 0 && !strings.ContainsAny(s, "\r\n") {
		return append(dst, s...)
	}
	dst = append(dst, q)
	for k := range len(s) {
		if s[k] == q {
			dst = append(dst, q)
		}
		dst = append(dst, s[k])
	}
	return append(dst, q)
}
