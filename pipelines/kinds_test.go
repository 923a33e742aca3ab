package pipelines

import (
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// TestKinds walks the table of the language: no construct and no key twice,
// each with a doc, and the rooms below know what it names.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	groups := map[string]bool{}
	for _, k := range kinds {
		groups[k.Group] = true
	}
	for _, k := range kinds {
		if seen[k.Group+"/"+k.Name] {
			t.Errorf("%s is there twice", k.title())
		}
		seen[k.Group+"/"+k.Name] = true
		if k.Doc == "" {
			t.Errorf("%s has no doc", k.title())
		}
		keys := map[string]bool{}
		for _, key := range k.Keys {
			if keys[key.Name] {
				t.Errorf("%s has the key %s twice", k.title(), key.Name)
			}
			keys[key.Name] = true
			if key.Doc == "" || key.Type == "" {
				t.Errorf("%s: the key %s has no doc or no type", k.title(), key.Name)
			}
			if key.Group != "" && !groups[key.Group] {
				t.Errorf("%s: under %s stands a %s, which is not in the table", k.title(), key.Name, key.Group)
			}
			for _, not := range key.Not {
				if k.key(not) != nil {
					t.Errorf("%s: %s is a key, not another word for %s", k.title(), not, key.Name)
				}
			}
		}
	}
	for _, w := range window.Kinds() {
		if k := findKind("window", w.Name); w.Name != "" && k == nil {
			t.Errorf("the window %s has no entry", w.Name)
		}
	}
	for _, k := range kindNames("window") {
		if _, ok := window.Lookup(k); !ok {
			t.Errorf("window has no %s", k)
		}
	}
	for _, v := range verbs() {
		if k := findKind("transform", v.name); k == nil {
			t.Errorf("the transform %s has no entry", v.name)
		}
	}
	for _, k := range kindNames("transform") {
		if _, ok := findVerb(k); !ok {
			t.Errorf("the transform %s has no verb", k)
		}
	}
	// Every argument of an aggregate has its key in the long form.
	long := findKind("aggregate", "")
	for _, k := range aggregate.Kinds() {
		names := argumentNames(k)
		for _, p := range k.Params {
			names = append(names, p.Name)
		}
		for _, name := range names {
			if long.key(longName(name)) == nil {
				t.Errorf("the long form of %s has no key %s", k.Name, longName(name))
			}
		}
	}
}

// TestReference: every construct and key that runs is in the reference.
func TestReference(t *testing.T) {
	text := Reference()
	for _, k := range kinds {
		for _, key := range k.Keys {
			if !strings.Contains(text, "| `"+key.Name+"` |") {
				t.Errorf("the reference lacks %s of %s", key.Name, k.title())
			}
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "| ") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 5 {
			t.Errorf("a row of the reference has not four cells: %s", line)
		}
	}
}

// TestDurations: Go's, and d.
func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "1.5h": 90 * time.Minute, "1h30m": 90 * time.Minute, "100ms": 100 * time.Millisecond,
		"1d": 24 * time.Hour, "1.5d": 36 * time.Hour, "2d3h": 51 * time.Hour, "-1d": -24 * time.Hour, "0s": 0,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1", "0", "s", "d", "1 d", "1d 2h", "1w", "1e9d", "999999999d", "+1s", "1dd", "d1", "1.2.3d", "one day", "1D"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is a duration: %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{24 * time.Hour: "1d", 90 * time.Minute: "1h30m", time.Hour: "1h", 5 * time.Minute: "5m", 90 * time.Second: "1m30s", 0: "0s"} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// TestSizes: decimal and binary units.
func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"512": 512, "10MB": 10_000_000, "1GiB": 1 << 30, "1.5 KiB": 1536, "0": 0, "2kB": 2000} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "MB", "1 gigabyte", "1e30", "NaN", "Inf"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is a size: %d", text, got)
		}
	}
}

// TestNearest: what a word probably meant.
func TestNearest(t *testing.T) {
	words := []string{"size", "advance", "offset", "time_zone", "grace", "max_rows"}
	for word, want := range map[string]string{
		"sizee": "size", "szie": "size", "Size": "size", "advnace": "advance", "time-zone": "time_zone", "rows": "max_rows",
		"graze": "grace", "x": "", "banana": "", "off": "offset",
	} {
		if got := nearest(word, words); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}
