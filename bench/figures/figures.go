// Package figures is what the commands that measure have in common: how busy
// the machine is, and the file that results are published in.
package figures

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Load is the machine's load of the last minute as text; "unknown" where the
// system does not tell.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// busyLoad is the load from which on figures of two cores are none.
const busyLoad = 1.5

// Quiet gives the load, and an error where it is too high to measure.
func Quiet() (load string, err error) {
	load = Load()
	var one float64
	if load == "unknown" {
		return load, nil
	}
	if _, err := fmt.Sscan(load, &one); err != nil {
		return load, fmt.Errorf("read the machine's load: %w", err)
	}
	if one >= busyLoad {
		return load, fmt.Errorf("the machine is busy (load %s): wait, or say -busy", load)
	}
	return load, nil
}

// Publish calls report with standard output, and with RESULTS.md of a folder as
// well, which is named from the repository's root. "": no file.
func Publish(folder string, report func(io.Writer) error) (err error) {
	out := io.Writer(os.Stdout)
	if folder != "" {
		f, err := os.Create(filepath.Join(folder, "RESULTS.md"))
		if err != nil {
			return fmt.Errorf("write the results (run this in the repository's root): %w", err)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = io.MultiWriter(out, f)
	}
	return report(out)
}
