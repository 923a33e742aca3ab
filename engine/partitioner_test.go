package engine_test

import (
	"testing"

	"github.com/leatstream/leat/engine"
)

// TestMurmur2 compares with the vectors of Kafka's own test, UtilsTest.testMurmur2.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(engine.Murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
		// Java: toPositive(murmur2(key)) % n, where toPositive drops the sign bit.
		for _, n := range []int{1, 2, 7, 1000} {
			if got, want := engine.PartitionOf([]byte(key), n), engine.Partition((want&0x7fffffff)%int32(n)); got != want {
				t.Errorf("partition of %q of %d = %d, want %d", key, n, got, want)
			}
		}
	}
}
