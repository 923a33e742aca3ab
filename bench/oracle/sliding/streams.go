package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/leatstream/leat/bench/oracle"
)

//go:embed SlidingBench.java
var java []byte

// streams runs Kafka Streams over the rows: in its test driver, or (brokers)
// on a broker with a thread per core.
func (b *bench) streams(ctx context.Context, name, emit, stores string, cacheBytes int, onBroker bool) (summary, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return summary{}, fmt.Errorf("make a folder for %s: %w", name, err)
	}
	defer os.RemoveAll(dir)
	args := []string{
		"name=" + name, "dir=" + filepath.Join(dir, "state"), "emit=" + emit, "stores=" + stores, fmt.Sprintf("cache=%d", cacheBytes),
		fmt.Sprintf("size=%d", sizeMS), fmt.Sprintf("grace=%d", graceMS), "delivery=" + b.delivery, "topic=" + topic, "out=" + name + "-out", "compression=" + compression,
	}
	if onBroker {
		args = append(args, "brokers="+b.brokers, fmt.Sprintf("n=%d", b.n), fmt.Sprintf("threads=%d", runtime.NumCPU()))
	} else {
		args = append(args, "rows="+filepath.Join(b.dir, "rows"))
	}
	cmd, err := oracle.Java(ctx, dir, "SlidingBench.java", java, []string{"-Xms1g", "-Xmx4g"}, args...)
	if err != nil {
		return summary{}, err
	}
	return finish(cmd)
}
