package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/spf13/cobra"
)

// settings are machines on which the same command says the same, byte by byte.
var settings = []map[string]string{
	{"TERM": "xterm-256color"},
	{"TERM": "xterm-256color", "NO_COLOR": "1"},
	{"TERM": "dumb", "COLUMNS": "20"},
	{"TERM": "xterm", "CLICOLOR_FORCE": "1", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Tokyo"},
}

// TestTrap20OutputIsByteStable is what programs read of leat, and what a log of
// CI holds: testdata/stable.txt. Each command runs on all machines of settings,
// twice, its output no terminal; there is no colour and no difference.
//
//	file name=p.yaml       writes a file
//	leat ARGUMENTS         runs a command; stderr stands behind "stderr:"
func TestTrap20OutputIsByteStable(t *testing.T) {
	golden, err := filepath.Abs("testdata/stable.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	datadriven.RunTest(t, golden, func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "file" {
			var name string
			d.ScanArgs(t, "name", &name)
			if err := os.WriteFile(name, []byte(d.Input+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return ""
		}
		args := strings.Fields(d.Input)
		first := said(t, args...)
		for _, env := range settings {
			for name, value := range env {
				t.Setenv(name, value)
			}
			for range 2 {
				if again := said(t, args...); again != first {
					d.Fatalf(t, "with %v it says\n%s\nand said\n%s", env, again, first)
				}
			}
			for name := range env {
				os.Unsetenv(name) // Setenv's own cleanup puts back what was
			}
		}
		if strings.ContainsAny(first, "\x1b\r") {
			d.Fatalf(t, "escapes in %q", first)
		}
		if out, _, _ := strings.Cut(first, "stderr:\n"); slices.Contains(args, "json") && !json.Valid([]byte(out)) {
			d.Fatalf(t, "no JSON: %s", out)
		}
		return first
	})
}

// said runs a command as main does, its output into memory.
func said(t *testing.T, args ...string) string {
	t.Helper()
	root := &cobra.Command{Use: "leat", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(lintCommand(), explainCommand(), schemaCommand())
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		if c := (coded{}); !errors.As(err, &c) || c.err != nil {
			t.Fatal(err)
		}
	}
	if errs.Len() > 0 {
		out.WriteString("stderr:\n")
		errs.WriteTo(&out)
	}
	return out.String()
}

// Colours are for terminals that want them.
func TestTrap20NoColor(t *testing.T) {
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer pipe.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !colored(device) {
		t.Error("no colours on a terminal")
	}
	if colored(pipe) || colored(&bytes.Buffer{}) {
		t.Error("colours where no terminal is")
	}
	t.Setenv("TERM", "dumb")
	if colored(device) {
		t.Error("colours on a dumb terminal")
	}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	if colored(device) {
		t.Error("colours although NO_COLOR is set")
	}
}
