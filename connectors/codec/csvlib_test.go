package codec

import (
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

// libraryCSV reads the first row with encoding/csv; more says that there is
// another.
func libraryCSV(text string) (fields []string, more bool, err error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	if fields, err = r.Read(); err != nil {
		return nil, false, err
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		return fields, true, nil
	}
	return fields, false, nil
}
