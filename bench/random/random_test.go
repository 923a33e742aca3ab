package random

import (
	"flag"
	"testing"
	"time"
)

var (
	seed    = flag.Uint64("seed", 1, "seed of the first case; 0: of the clock")
	cases   = flag.Int("cases", 120, "how many cases")
	only    = flag.String("only", "", "a type of transform that every case must have, calendar, idle or distinct")
	most    = flag.Int("most", 1, "stop after so many failing cases")
	shrinks = flag.Bool("shrink", true, "make a failing case smaller")
	yaml    = flag.Bool("yaml", false, "print every case")
)

// TestAgainstNaive runs random pipelines over random rows, and compares what
// leat commits with what the naive interpreter computes.
func TestAgainstNaive(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d -cases %d", *seed, *cases)
	failed := 0
	for i := range *cases {
		c := Generate(*seed+uint64(i), *only)
		if *yaml {
			t.Logf("%s", c)
		}
		if _, err := Check(c); err == nil {
			continue
		}
		if *shrinks {
			c = Shrink(c)
		}
		way, err := Check(c)
		t.Errorf("replay: go test ./bench/random -seed %d -cases 1 -only %q\n%s\nrun with %s:\n%v", c.Seed, *only, c, way, err)
		if failed++; failed == *most {
			break
		}
	}
}
