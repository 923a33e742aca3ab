package engine_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
)

// TestPartitionerVectors compares with values of the clients' own tests:
// librdkafka's of FNV-1a (rdfnv1a.c, made with sarama's), and CRC-32's check value.
func TestPartitionerVectors(t *testing.T) {
	const n = 1<<31 - 1 // all the bits there are to see
	of := map[string]func([]byte, int) engine.Partition{}
	for _, p := range engine.Partitioners {
		of[p.Name] = p.Of
	}
	for key, want := range map[string]engine.Partition{
		"kafka": 0xd33c4e1, "giberish123456789": 0x77a58295 % n, "1234": 0x23bdd03, "234": 0x2dea3cd2,
		"34": 0x740fa83e, "4": 0x310ca263, "PreAmbleWillBeRemoved,ThePrePartThatIs": 0x65cbd69c,
	} {
		if got := of["fnv1a"]([]byte(key), n); got != want {
			t.Errorf("fnv1a of %q: %x, want %x", key, got, want)
		}
	}
	if got, want := of["crc32"]([]byte("123456789"), 1000), engine.Partition(0xcbf43926%1000); got != want {
		t.Errorf("crc32: %d, want %d", got, want)
	}
}

// TestMatchPartitioner tells writers apart by a hundred keys, also where some
// records are of others.
func TestMatchPartitioner(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, p := range engine.Partitioners {
		for _, n := range []int{2, 3, 12, 100} {
			var samples []engine.KeySample
			for range 400 {
				key := fmt.Appendf(nil, "user-%d", rng.IntN(1e6))
				samples = append(samples, engine.KeySample{Key: key, Partition: p.Of(key, n), Of: n})
			}
			m := engine.MatchPartitioner(samples)
			if m.Family != p.Name || m.Wrong != 0 || (m.WrongHere == 0) != (p.Name == "murmur2") {
				t.Errorf("%s over %d partitions: %+v", p.Name, n, m)
			}
			for i := range 40 {
				samples[10*i].Partition = (samples[10*i].Partition + 1) % engine.Partition(n)
			}
			if m := engine.MatchPartitioner(samples); m.Family != p.Name || m.Wrong < 0.09 || m.Wrong > 0.11 {
				t.Errorf("%s over %d partitions, a tenth of others: %+v", p.Name, n, m)
			}
		}
	}
	// A hot key is one, and what tells nothing does not count.
	hot := engine.KeySample{Key: []byte("hot"), Partition: (engine.PartitionOf([]byte("hot"), 7) + 1) % 7, Of: 7}
	samples := []engine.KeySample{{Key: nil, Of: 7}, {Key: []byte{}, Of: 7}, {Key: []byte("one"), Of: 1}}
	if m := engine.MatchPartitioner(samples); m != (engine.PartitionerMatch{}) {
		t.Errorf("nothing tells: %+v", m)
	}
	for range 1000 {
		samples = append(samples, hot)
	}
	for i := range 99 {
		key := fmt.Appendf(nil, "k%d", i)
		samples = append(samples, engine.KeySample{Key: key, Partition: engine.PartitionOf(key, 7), Of: 7})
	}
	if m := engine.MatchPartitioner(samples); m.Family != "murmur2" || m.Samples != 100 || m.Wrong != 0.01 {
		t.Errorf("a hot key: %+v", m)
	}
	// Keys that were spread at random are of no family.
	samples = nil
	for i := range 400 {
		samples = append(samples, engine.KeySample{Key: fmt.Appendf(nil, "k%d", i), Partition: engine.Partition(rng.IntN(12)), Of: 12})
	}
	if m := engine.MatchPartitioner(samples); m.Family != "" || m.Wrong < 0.8 {
		t.Errorf("random: %+v", m)
	}
}
