package random

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/leatstream/leat/bench/random/naive"
)

// nearness writes rows as texts that are equal where the rows are: sketches may
// differ from what is exact by what is documented. A row that is as near as that
// to one that is wanted gets the text of it.
type nearness struct {
	cols  []naive.Col
	wants map[string][]*nearRow // by the text without what is near
}

type nearRow struct {
	v    map[string]any
	text string
	met  bool
}

// What count_distinct says of itself: how many values are counted exactly, and
// five times the standard error of 0.81 % beyond them.
const (
	exactly   = 1024
	manyError = 5 * 0.0081
)

// isNear tells whether a column is a sketch's.
func isNear(c naive.Col) bool {
	return c.Type == naive.Approx || c.Type == naive.Hist || c.Type == naive.Many
}

func (n *nearness) exact(head string, v map[string]any) string {
	return head + line(v, slices.DeleteFunc(slices.Clone(n.cols), isNear))
}

// want is the text of a row that is wanted.
func (n *nearness) want(head string, v map[string]any) string {
	text := head + line(v, n.cols)
	if slices.ContainsFunc(n.cols, isNear) {
		if n.wants == nil {
			n.wants = map[string][]*nearRow{}
		}
		k := n.exact(head, v)
		n.wants[k] = append(n.wants[k], &nearRow{v: v, text: text})
	}
	return text
}

// got is the text of a row that came.
func (n *nearness) got(head string, v map[string]any) string {
	if n.wants != nil {
		for _, w := range n.wants[n.exact(head, v)] {
			if !w.met && n.near(w.v, v) {
				w.met = true
				return w.text
			}
		}
	}
	return head + line(v, n.cols)
}

func (n *nearness) near(want, got map[string]any) bool {
	for _, c := range n.cols {
		switch c.Type {
		case naive.Approx:
			w, is := want[c.Name].(float64)
			g, there := got[c.Name].(json.Number)
			f, _ := g.Float64()
			if is != there || math.Abs(f-w) > 0.01001*math.Abs(w)+1e-9 {
				return false
			}
		case naive.Many:
			w, _ := want[c.Name].(int64)
			n, there := got[c.Name].(json.Number)
			g, err := n.Int64()
			if !there || err != nil || g != w && (w <= exactly || math.Abs(float64(g-w)) > manyError*float64(w)) {
				return false
			}
		case naive.Hist:
			values, is := want[c.Name].([]float64)
			if is != (got[c.Name] != nil) || is && !spread(values, got[c.Name]) {
				return false
			}
		}
	}
	return true
}

// spread tells whether bins, {"le": bound, "count": n}, hold values, which are
// in order: each as many as it says, none above its bound or more than a bin's
// width below.
func spread(values []float64, bins any) bool {
	list, ok := bins.([]any)
	if !ok {
		return false
	}
	below := math.Inf(-1)
	for _, b := range list {
		bin, _ := b.(map[string]any)
		le, _ := bin["le"].(json.Number)
		count, _ := bin["count"].(json.Number)
		bound, err := le.Float64()
		n, err2 := count.Int64()
		if err != nil || err2 != nil || n < 1 || int(n) > len(values) || bound <= below {
			return false
		}
		for _, v := range values[:n] {
			if slack := math.Abs(v) * 1e-9; v > bound+slack || bound-v > 0.021*math.Abs(v)+slack {
				return false
			}
		}
		below, values = bound, values[n:]
	}
	return len(values) == 0
}
