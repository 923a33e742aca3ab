package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
)

// The workload: every key has a row each spacing, moved by up to jitter, so
// that a window of size holds some seven rows and neighbours swap places.
const (
	sizeMS    = 60_000
	perWindow = 7
	spacingMS = sizeMS / perWindow
	jitterMS  = 12_000
	graceMS   = 20_000
	startMS   = 1_767_225_600_000 // 2026-01-01
)

// memoryRows is how many rows are run without a broker: nothing is to start
// there, and fewer will do.
const memoryRows = 200_000

// row is one record of the workload.
type row struct {
	time       int64
	key, value string
}

// workload makes n rows over some keys, the same for the same seed.
func workload(n, keys int, seed uint64) []row {
	r := rand.New(rand.NewPCG(seed, 0))
	rows := make([]row, n)
	for i := range rows {
		key := fmt.Sprintf("k%05d", i%keys)
		t := startMS + int64(i/keys)*spacingMS + int64(i%keys)*spacingMS/int64(keys) + r.Int64N(jitterMS)
		rows[i] = row{t, key, fmt.Sprintf(`{"k":%q,"x":%d}`, key, r.IntN(1000))}
	}
	return rows
}

// write leaves the rows where Java finds them: time, key and value by tabs.
func write(file string, rows []row) error {
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("write the rows: %w", err)
	}
	w := bufio.NewWriterSize(f, 1<<16)
	for _, r := range rows {
		fmt.Fprintf(w, "%d\t%s\t%s\n", r.time, r.key, r.value)
	}
	if err := w.Flush(); err != nil {
		f.Close()
		return fmt.Errorf("write the rows: %w", err)
	}
	return f.Close()
}
