package operators

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

// TestTTLAgainstModel: what is downstream are the keys whose newest row is not
// older than the ttl, each with the rows since it last was: all of them, or those
// of a count window.
func TestTTLAgainstModel(t *testing.T) {
	type state struct {
		rows string // a digit each
		last int64
	}
	for c := range max(*cases/10, 20) {
		s := *seed + uint64(c)
		r := rand.New(rand.NewPCG(s, 11))
		ttl := 1 + r.Int64N(15)
		a := aggregateText{group: "u", columns: "n = count(); s = sum(a)", ttl: time.Duration(ttl) * time.Millisecond}
		size, every, full := int64(1<<40), int64(1), false
		if r.IntN(2) == 0 {
			size, full = 1+r.Int64N(4), r.IntN(2) == 0
			every = 1 + r.Int64N(size)
			a.window = window.Spec{Kind: "count", Count: size, Every: every, Full: full}
		}
		budget := int64(0)
		if r.IntN(20) == 0 {
			budget = 1 // all that is not in use is on disk
		}
		rig := a.rig(t, schema(t, "u string, a int"), budget)
		now, then := map[string]state{}, map[string]state{}
		at, thenAt := int64(100), int64(100)
		down := map[string]string{}
		log := []string{fmt.Sprintf("ttl %d, %v", ttl, a.window)}
		commit := func() {
			rig.commit(true)
			for _, o := range rig.rows {
				key := "u=" + o.row0()
				if o.op != engine.Insert && down[key] != strings.Join(o.old, " ") {
					t.Fatalf("seed %d\n%s\n%s: took back %q, was %q", s, strings.Join(log, "\n"), key, o.old, down[key])
				}
				delete(down, key)
				if o.op != engine.Delete {
					down[key] = strings.Join(o.row, " ")
				}
			}
			rig.rows, rig.notes = nil, nil
			then, thenAt = maps.Clone(now), at
			want := map[string]string{}
			for k, v := range now {
				n := int64(len(v.rows)) / every * every
				if n == 0 || full && n < size {
					continue
				}
				sum, counted := 0, v.rows[max(0, n-size):n]
				for _, digit := range counted {
					sum += int(digit - '0')
				}
				want["u="+k] = fmt.Sprintf("%s %d %d", k, len(counted), sum)
			}
			if !maps.Equal(down, want) {
				t.Fatalf("seed %d\n%s\ndownstream %v, want %v", s, strings.Join(log, "\n"), down, want)
			}
		}
		for range 40 {
			switch r.IntN(8) {
			case 0, 1, 2:
				var rows []string
				origin, heard := rig.seen[0]
				if !heard {
					origin = engine.MinTime
				}
				for range 1 + r.IntN(5) {
					at += r.Int64N(4)
					key, v, when := string(rune('a'+r.IntN(4))), r.Int64N(9), at-r.Int64N(6)
					rows = append(rows, fmt.Sprintf("%s %s %d", ms(when), key, v))
					k, had := now[key]
					if had && max(when, origin) > k.last+ttl { // time had got there when it came
						k, had = state{}, false
					}
					origin = max(origin, when)
					if !had {
						k.last = when
					}
					now[key] = state{k.rows + string(rune('0'+v)), max(k.last, when)}
				}
				log = append(log, rows...)
				rig.process(rig.batch(rows))
			case 3, 4:
				w := max(rig.watermark, at-r.Int64N(20))
				log = append(log, fmt.Sprintf("advance %d", w))
				for !rig.advance(w, &engine.Budget{Rows: 1 + r.IntN(3), Bytes: 1 << 30}) {
				}
				for k, v := range now {
					if v.last+ttl < w {
						delete(now, k)
					}
				}
			case 5, 6:
				log = append(log, "commit")
				commit()
			default:
				log = append(log, "back")
				rig.rows, rig.notes = nil, nil
				if r.IntN(2) == 0 {
					rig.rollback()
				} else {
					rig.restart()
				}
				now, at = maps.Clone(then), thenAt
			}
		}
		commit()
		rig.close()
	}
}

// row0 is the first column of a result, or of what it takes back.
func (o result) row0() string {
	if o.row != nil {
		return o.row[0]
	}
	return o.old[0]
}
