package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/spf13/cobra"
)

// What is wrong with a command line: one line, with what was probably meant
// and where to read on.

// flagError adds to a flag that is not there the one that was meant.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		var names []string
		for _, m := range flagNames.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
			names = append(names, m[1])
		}
		text = fmt.Sprintf("there is no flag --%s%s", name, meant(name, names))
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		if want := kindsOfFlag[cmd.Flags().Lookup(m[2]).Value.Type()]; want != "" {
			text = fmt.Sprintf("--%s wants %s, not %s", m[2], want, m[1])
		}
	}
	return usage("%s (%s --help)", text, cmd.CommandPath())
}

// meant is ", did you mean …?" with the one of names that is nearest, or "".
func meant(word string, names []string) string {
	best, least := "", len(word)/3+1
	for _, name := range names {
		d := engine.Distance(strings.ToLower(word), name)
		if strings.HasPrefix(name, word) {
			d = min(d, 1)
		}
		if d <= least && (best == "" || d < least) {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean --" + best + "?"
}

func usage(format string, args ...any) error { return coded{exitUsage, fmt.Errorf(format, args...)} }

// What cobra and pflag say, to be put in our words.
var (
	noCommand = regexp.MustCompile(`^unknown command (".*") for "leat"(?:\n\nDid you mean this\?\n\t(\S+))?`)
	tooMuch   = regexp.MustCompile(`^unknown command (".*") for "(leat .*)"`)
	badValue  = regexp.MustCompile(`^invalid argument (".*") for "(?:-., )?--([a-z-]+)" flag: `)
	counted   = regexp.MustCompile(`\barg\(s\)`)
	flagNames = regexp.MustCompile(`(?m)^ +(?:-\w, +)?--([a-z-]+)`)
)

// kindsOfFlag are what a flag wants, by the name of its type.
var kindsOfFlag = map[string]string{"int": "a whole number", "uint": "a whole number, 0 or more", "uint64": "a whole number, 0 or more", "duration": "a time like 30s or 5m", "bool": "true or false"}

// plainUsage puts in our words what cobra says of commands and arguments.
func plainUsage(err error) error {
	text := err.Error()
	if m := noCommand.FindStringSubmatch(text); m != nil {
		if m[2] != "" {
			m[1] += ", did you mean " + m[2] + "?"
		}
		return usage("there is no command %s (leat --help)", m[1])
	}
	if m := tooMuch.FindStringSubmatch(text); m != nil {
		return usage("%s takes no %s (%s --help)", m[2], m[1], m[2])
	}
	if counted.MatchString(text) {
		return coded{exitUsage, err}
	}
	return err
}
