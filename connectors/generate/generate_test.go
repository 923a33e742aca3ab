package generate

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// testStart is a morning, so that days begin cold.
var testStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestRows(t *testing.T) {
	datadriven.RunTest(t, "testdata/rows.txt", func(t *testing.T, td *datadriven.TestData) string {
		var name string
		var seed, rows int
		td.ScanArgs(t, "rows", &rows)
		td.MaybeScanArgs(t, "name", &name)
		td.MaybeScanArgs(t, "seed", &seed)
		var out strings.Builder
		hash := sha256.New()
		switch td.Cmd {
		case "workload", "workload-hash":
			w, err := NewWorkload(name)
			if err != nil {
				return "error: " + err.Error()
			}
			for range rows {
				key, value, ts, _ := w.Next()
				fmt.Fprintf(hash, "%s %s %d\n", key, value, ts)
				if td.Cmd == "workload" {
					fmt.Fprintf(&out, "%s %s %d\n", key, value, ts)
				}
			}
		case "readings", "readings-hash":
			g := NewReadings(uint64(seed), testStart, ReadingsOptions{})
			for n := 0; n < rows; {
				key, value, at := g.Next()
				if td.HasArg("bad") && !bad(value, new(row)) {
					continue
				}
				n++
				fmt.Fprintf(hash, "%s %s %d\n", key, value, at.UnixNano())
				if td.Cmd == "readings" {
					fmt.Fprintf(&out, "%s %s %s\n", key, value, at.Format("15:04:05.000"))
				}
			}
		default:
			return "unknown command"
		}
		if strings.HasSuffix(td.Cmd, "-hash") {
			return fmt.Sprintf("%x\n", hash.Sum(nil))
		}
		return out.String()
	})
}

type row struct {
	ID     string   `json:"sensor_id"`
	Site   string   `json:"site"`
	TS     *int64   `json:"ts"`
	Temp   *float64 `json:"temp"`
	Hum    float64  `json:"hum"`
	Bat    float64  `json:"bat"`
	Status string   `json:"status"`
}

// bad tells whether value is a bad row; else r is its content.
func bad(value []byte, r *row) bool {
	*r = row{}
	return json.Unmarshal(value, r) != nil || r.TS == nil || r.Temp == nil
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if got < want-within || got > want+within {
		t.Errorf("%s: %v, want %v within %v", what, got, want, within)
	}
}
