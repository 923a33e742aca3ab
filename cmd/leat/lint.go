package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

func lintCommand() *cobra.Command {
	var output string
	var strict, notes bool
	cmd := &cobra.Command{
		Use: "lint FILE…", Short: "Check pipelines: every error at once, with its place",
		Long: "Checks pipelines and their tests without running anything: errors, warnings of what is\n" +
			"rarely meant, and with --notes what is worth knowing. docs/lint.md explains each finding by its code.\n\n" +
			"Exit code 3 where there are errors (with --strict: or warnings), else 0.",
		Args: minimum(1, "a pipeline file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known(output, "text", "json", "github", "sarif"); err != nil {
				return err
			}
			set, found := pipelines.Lint(args, loadOptions(""))
			if strict {
				found = found.Strict()
			}
			out := cmd.OutOrStdout()
			var err error
			switch output {
			case "json":
				_, err = out.Write(found.JSON())
			case "github":
				_, err = out.Write(found.GitHub())
			case "sarif":
				_, err = out.Write(found.SARIF(version))
			default:
				shown := found
				if !notes {
					shown = slices.DeleteFunc(slices.Clone(found), func(d pipelines.Diagnostic) bool { return d.Severity == pipelines.Note })
				}
				if err = shown.Write(cmd.ErrOrStderr(), colored(cmd.ErrOrStderr())); err == nil {
					text := verdict(set, found)
					if !notes && found.Count(pipelines.Note) > 0 {
						text += " (--notes shows these)"
					}
					_, err = fmt.Fprintln(cmd.ErrOrStderr(), text)
				}
			}
			if err != nil {
				return fmt.Errorf("write findings: %w", err)
			}
			if found.Errors() > 0 {
				return coded{exitInvalid, nil}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "text, json, github (workflow commands) or sarif (code scanners)")
	cmd.Flags().BoolVar(&notes, "notes", false, "show notes, too (text)")
	cmd.Flags().BoolVar(&strict, "strict", false, "make errors of warnings")
	return cmd
}

// verdict sums up what was found.
func verdict(set *pipelines.Set, found pipelines.Diagnostics) string {
	var parts []string
	for _, s := range []pipelines.Severity{pipelines.Error, pipelines.Warning, pipelines.Note} {
		if n := found.Count(s); n > 0 {
			parts = append(parts, count(n, string(s)))
		}
	}
	text := count(len(set.Pipelines), "pipeline")
	switch {
	case found.Errors() > 0:
		text += " read"
	case len(set.Pipelines) == 1:
		text += " is fine"
	default:
		text += " are fine"
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// known refuses an --output that a command does not have.
func known(output string, words ...string) error {
	if slices.Contains(words, output) {
		return nil
	}
	last := len(words) - 1
	return coded{exitUsage, errors.New("--output is " + strings.Join(words[:last], ", ") + " or " + words[last] + fmt.Sprintf(", not %q", output))}
}

// minimum is cobra.MinimumNArgs with an error that says what is missing.
func minimum(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return coded{exitUsage, fmt.Errorf("missing: %s (leat %s --help)", what, cmd.Name())}
		}
		return nil
	}
}
