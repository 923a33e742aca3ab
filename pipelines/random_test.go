package pipelines

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDamaged loads shipped pipelines and the cases of testdata with characters
// changed, taken out, put in, and tails exchanged: no panic, and what is still
// right can be built. The seed is printed; set seed to it to replay.
func TestDamaged(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var texts []string
	files, _ := filepath.Glob("testdata/errors/*.txt")
	shipped, _ := filepath.Glob("*.yaml")
	for _, file := range append(files, shipped...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range strings.Split(string(data), "\n----") {
			if _, in, ok := strings.Cut(c, "\ntransforms\n"); ok {
				texts = append(texts, rightHead+rightSources+in+"\n"+rightSinks)
			} else if _, in, ok := strings.Cut(c, "version: 1"); ok {
				texts = append(texts, "version: 1"+in)
			}
		}
	}
	const rounds, marks = 300, " :,{}[]#&*!|>'\"-?\n\t%@`()"
	for range rounds {
		b := []byte(texts[rng.IntN(len(texts))])
		for range 1 + rng.IntN(5) {
			i := rng.IntN(len(b))
			switch rng.IntN(4) {
			case 0:
				b[i] = byte(rng.IntN(256))
			case 1:
				b = append(b[:i:i], b[i+1:]...)
			case 2:
				other := texts[rng.IntN(len(texts))]
				b = append(b[:i:i], other[rng.IntN(len(other)):]...)
			case 3:
				b = append(b[:i:i], append([]byte{marks[rng.IntN(len(marks))]}, b[i:]...)...)
			}
			if len(b) == 0 {
				b = []byte("x")
			}
		}
		set, diags := LoadBytes("f.yaml", b, testEnv)
		if diags.Errors() > 0 {
			continue
		}
		for _, p := range set.Pipelines {
			if _, err := p.build(t); err != nil {
				t.Errorf("seed %d: %v\n%s", seed, err, b)
			}
		}
	}
}
