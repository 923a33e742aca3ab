package aggregate

import (
	"fmt"
	"testing"
)

// TestEqualHashes: keys whose hashes are equal are two keys.
func TestEqualHashes(t *testing.T) {
	seen := map[uint32]string{}
	pairs := 0
	for i := range 300_000 { // about ten pairs among as many hashes of 32 bits
		key := fmt.Sprint(i)
		hash := parts{a: []byte(key)}.hash()
		other, twice := seen[hash]
		seen[hash] = key
		if !twice {
			continue
		}
		pairs++
		d, acc, h := dict{words: 1}, make([]uint64, 2), &Scratch{}
		for k, key := range []string{other, key} {
			key := parts{a: []byte(key)}
			if d.find(acc, h, key, hash) != 0 {
				t.Fatalf("%s is found before it is there", key.a)
			}
			d.insert(acc, h, key, parts{}, hash).setWord(0, uint64(k))
		}
		for k, key := range []string{other, key} {
			if off := d.find(acc, h, parts{a: []byte(key)}, hash); off == 0 || d.at(h.Get(acc[0]), off).word(0) != uint64(k) {
				t.Fatalf("%s is not found", key)
			}
		}
	}
	if pairs == 0 {
		t.Fatal("no two hashes are equal")
	}
	// The bounds of parts are part of a key.
	d, acc, h := dict{}, make([]uint64, 2), &Scratch{}
	ab := parts{[]byte("ab"), []byte("c")}
	d.insert(acc, h, ab, parts{}, 1)
	if d.find(acc, h, parts{[]byte("a"), []byte("bc")}, 1) != 0 || d.find(acc, h, ab, 1) == 0 {
		t.Fatal("keys are mixed up")
	}
}
