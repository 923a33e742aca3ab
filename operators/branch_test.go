package operators

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/leatstream/leat/engine"
)

// TestBranchAgainstModel changes the rows of a table and keeps, from what comes
// out, the table of each case and the table of all of them together, as a union
// behind the branch would. A row's changes must come in their order in both.
func TestBranchAgainstModel(t *testing.T) {
	for c := range max(1, *cases/20) {
		s := *seed + uint64(c)
		rng := rand.New(rand.NewPCG(s, 5))
		r := &rig{t: t, in: schema(t, "id int, a int")}
		verbs["branch"](t, r, map[string]string{"cases": "a < 2; a * 3074457345618258603 > 0 and a < 4"})
		r.start()
		is, tables, all := map[string]string{}, map[string]map[string]string{}, map[string]string{}
		for range 10 {
			var lines []string
			for range 1 + rng.IntN(12) {
				id, a := strconv.Itoa(rng.IntN(4)), strconv.Itoa(rng.IntN(6))
				old, ok := is[id]
				switch {
				case !ok:
					lines = append(lines, fmt.Sprintf("+ 1 %s %s", id, a))
				case rng.IntN(3) == 0:
					lines = append(lines, fmt.Sprintf("- 1 %s %s", id, old))
					delete(is, id)
					continue
				default:
					lines = append(lines, fmt.Sprintf("~ 1 %s %s -> %s %s", id, old, id, a))
				}
				is[id] = a
			}
			r.process(r.batch(lines))
			for _, o := range r.rows {
				if tables[o.port] == nil {
					tables[o.port] = map[string]string{}
				}
				for _, table := range []map[string]string{tables[o.port], all} {
					if o.op != engine.Insert {
						if table[o.old[0]] != o.old[1] {
							t.Fatalf("seed %d: %s changes what is %q", s, o.text(false), table[o.old[0]])
						}
						delete(table, o.old[0])
					}
					if o.op != engine.Delete {
						if was, ok := table[o.row[0]]; ok {
							t.Fatalf("seed %d: %s comes where %s is", s, o.text(false), was)
						}
						table[o.row[0]] = o.row[1]
					}
				}
			}
			r.rows, r.notes = nil, nil
			want, got := map[string]map[string]string{}, map[string]map[string]string{}
			for id, a := range is {
				port := map[string]string{"0": "0: ", "1": "0: ", "2": "1: ", "3": "", "4": "", "5": ""}[a] // from 3 on the product overflows
				if port != "" {
					if want[port] == nil {
						want[port] = map[string]string{}
					}
					want[port][id] = a
				}
			}
			for port, table := range tables {
				if len(table) > 0 {
					got[port] = table
				}
			}
			if !maps.EqualFunc(got, want, maps.Equal) {
				t.Fatalf("seed %d: %v, want %v", s, got, want)
			}
		}
	}
}
