package main

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/leatstream/leat/connectors/generate"
)

// A workload is a deterministic topic, and the pipeline that reads it.
type workload struct {
	name     string
	rows     int
	about    string
	pipeline string // YAML with ${NAME}, ${TOPIC}, ${OUT} and ${DELIVERY} to fill in
}

//go:embed pipelines/hopping.yaml
var hopping string

func choose(o options) ([]workload, error) {
	known := map[string]workload{
		"peers": {"peers", o.peersRows, "178-byte JSON, 10,000 keys by Zipf, 1.4 s of event time per 1,000 rows, 2 s of disorder: about as many results as rows", hopping},
		"dense": {"dense", o.denseRows, "10,000 keys in turn, one row per key and second: one result per ten rows", hopping},
	}
	var out []workload
	for name := range strings.SplitSeq(o.workloads, ",") {
		w, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("unknown workload %q: peers, dense", name)
		}
		out = append(out, w)
	}
	return out, nil
}

// rows gives the first n rows of a workload, in order.
func rows(name string, n int, row func(key, value []byte, ts int64) error) error {
	w, err := generate.NewWorkload(name)
	if err != nil {
		return err
	}
	for range n {
		key, value, ts, ok := w.Next()
		if !ok {
			return fmt.Errorf("generate %s: it has fewer than %d rows", name, n)
		}
		if err := row(key, value, ts); err != nil {
			return err
		}
	}
	return nil
}
