package main

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// A wrong command line gets one line: what is wrong, what was probably meant,
// and where to read on; its exit code is 2.
func TestUsage(t *testing.T) {
	for line, want := range map[string]string{
		"lnt p.yaml":                     `there is no command "lnt", did you mean lint? (leat --help)`,
		"xyzzy":                          `there is no command "xyzzy" (leat --help)`,
		"demo more":                      `leat demo takes no "more" (leat demo --help)`,
		"run":                            `missing: a pipeline file or folder (leat run --help)`,
		"run p.yaml --broker x":          `there is no flag --broker, did you mean --brokers? (leat run --help)`,
		"run p.yaml --xyzzy":             `there is no flag --xyzzy (leat run --help)`,
		"run p.yaml --brokers":           `flag needs an argument: --brokers (leat run --help)`,
		"run p.yaml --lanes two":         `--lanes wants a whole number, not "two" (leat run --help)`,
		"run p.yaml --flush-every often": `--flush-every wants a time like 30s or 5m, not "often" (leat run --help)`,
	} {
		root := rootCommand()
		root.SetArgs(strings.Fields(line))
		root.SetOut(io.Discard)
		err := root.Execute()
		if err == nil {
			t.Errorf("leat %s: no error", line)
			continue
		}
		err = plainUsage(err)
		if err.Error() != want {
			t.Errorf("leat %s:\n got %s\nwant %s", line, err, want)
		}
		var c coded
		if !errors.As(err, &c) || c.code != exitUsage {
			t.Errorf("leat %s: not a usage error: %#v", line, err)
		}
	}
}
