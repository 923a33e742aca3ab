package patch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestPatch is the manual: testdata/patch has documents before and after.
//
//	diff     two documents, a line each: the patch, and the hashes
//	apply    a document, then operations, a line each: the document after
//	hash     documents: their canonical text and hash
func TestPatch(t *testing.T) {
	datadriven.RunTest(t, "testdata/patch", func(t *testing.T, d *datadriven.TestData) string {
		var docs []any
		lines := strings.Split(d.Input, "\n")
		for _, line := range lines {
			v, err := Decode([]byte(line))
			if err != nil {
				return err.Error() + "\n"
			}
			docs = append(docs, v)
		}
		switch d.Cmd {
		case "diff":
			ops := Diff(docs[0], docs[1])
			after, err := Apply(docs[0], ops)
			if err != nil || !Equal(after, docs[1]) {
				d.Fatalf(t, "the patch gives %v, %v", after, err)
			}
			var out strings.Builder
			for _, op := range ops {
				b, _ := json.Marshal(op)
				fmt.Fprintf(&out, "%s\n", b)
			}
			return out.String() + Hash(docs[0]) + " " + Hash(docs[1]) + "\n"
		case "apply":
			var ops []Op
			for _, line := range lines[1:] {
				var op Op
				if err := json.Unmarshal([]byte(line), &op); err != nil {
					return err.Error() + "\n"
				}
				ops = append(ops, op)
			}
			before := string(appendCanonical(nil, docs[0]))
			after, err := Apply(docs[0], ops)
			if string(appendCanonical(nil, docs[0])) != before {
				d.Fatalf(t, "the document given was changed")
			}
			if err != nil {
				return err.Error() + "\n"
			}
			return string(encode(after)) + "\n"
		case "hash":
			var out strings.Builder
			for _, v := range docs {
				fmt.Fprintf(&out, "%s %s\n", Hash(v), appendCanonical(nil, v))
			}
			return out.String()
		}
		d.Fatalf(t, "no command %q", d.Cmd)
		return ""
	})
}

// random makes a JSON value of few different parts, so that two of them have
// much in common.
func random(r *rand.Rand, depth int) any {
	switch n := r.IntN(8); {
	case n < 2 && depth > 0:
		m := map[string]any{}
		for range r.IntN(5) {
			m[[]string{"a", "b/c", "d~e", "", "é", "__proto__"}[r.IntN(6)]] = random(r, depth-1)
		}
		return m
	case n < 4 && depth > 0:
		list := []any{}
		for range r.IntN(5) {
			list = append(list, random(r, depth-1))
		}
		return list
	case n == 4:
		return nil
	case n == 5:
		return r.IntN(2) == 0
	case n == 6:
		return json.Number(strconv.Itoa(r.IntN(3)))
	}
	return []string{"x", "\"\n", "😀"}[r.IntN(3)]
}

// A patch makes the one of the other, for any two values.
func TestRandomPatches(t *testing.T) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("replay: SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 20000 {
		a, b := random(r, 4), random(r, 4)
		ops := Diff(a, b)
		text, err := json.Marshal(ops)
		if err != nil {
			t.Fatal(err)
		}
		var read []Op
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		got, err := Apply(a, read)
		if err != nil || !reflect.DeepEqual(got, b) || Hash(got) != Hash(b) {
			t.Fatalf("%s\nto %s\nby %s\ngives %s, %v", encode(a), encode(b), text, encode(got), err)
		}
	}
}

// The page's hash is the same, of whatever JavaScript can read.
func TestHashIsThePages(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not here")
	}
	r := rand.New(rand.NewPCG(1, 1))
	docs := []string{`{"a":1.0,"b":-0,"c":1e21,"d":1e-7,"e":123456789012345680000,"f":0.000001,"g":5e-324,"h":1e400,"i":9007199254740993}`,
		`{"é":1,"z":2,"😀":3,"\uffff":4,"":5,"A":6,"a":7}`, `{"t":"\u0000\u001f\u007f\u2028\b\f\n\r\t\"\\/<>&"}`, `{"list":[[],{},null,true]}`}
	for range 200 {
		docs = append(docs, string(encode(map[string]any{"r": random(r, 4), "f": json.Number(strconv.FormatFloat(r.NormFloat64()*1e-5, 'g', -1, 64))})))
	}
	list, _ := json.Marshal(docs)
	script := `import { hash } from '../web/hash.js'; for (const d of JSON.parse(process.argv[1])) console.log(hash(JSON.parse(d)));`
	out, err := exec.CommandContext(t.Context(), node, "--input-type=module", "-e", script, string(list)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, h := range strings.Fields(string(out)) {
		v, err := Decode([]byte(docs[i]))
		if err != nil || Hash(v) != h {
			t.Errorf("%s\nhere %s %s, in the page %s, %v", docs[i], Hash(v), appendCanonical(nil, v), h, err)
		}
	}
}

// A patch of anybody's is applied or refused, and one of ours makes the one
// value of the other, whatever they are.
func FuzzPatch(f *testing.F) {
	f.Add(`{"n":1,"tags":["a"]}`, `{"n":2,"tags":["a","b"]}`, `[{"op":"move","from":"/tags","path":"/tags/0"}]`)
	f.Add(`{"a/b":{"~":[1,2,3]}}`, `{"a/b":{"~":[1,3]},"":0}`, `[{"op":"add","path":"/a~1b/~0/-","value":9007199254740993}]`)
	f.Add(`[[],{}]`, `{}`, `[{"op":"copy","from":"","path":"/0/0"},{"op":"test","path":"/1","value":{}},{"op":"remove","path":""}]`)
	f.Fuzz(func(t *testing.T, one, other, foreign string) {
		a, err := Decode([]byte(one))
		if err != nil {
			return
		}
		before := Hash(a)
		var ops []Op
		if json.Unmarshal([]byte(foreign), &ops) == nil {
			if got, err := Apply(a, ops); err == nil {
				Hash(got)
			}
			if Hash(a) != before {
				t.Errorf("%s was changed by %s", one, foreign)
			}
		}
		b, err := Decode([]byte(other))
		if err != nil {
			return
		}
		if got, err := Apply(a, Diff(a, b)); err != nil || Hash(got) != Hash(b) {
			t.Errorf("%s to %s gives %s, %v", one, other, encode(got), err)
		}
	})
}
