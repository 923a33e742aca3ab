package main

import (
	"fmt"
	"os"

	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

func lintCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "lint FILE…", Short: "Check pipelines: every error at once, with its place",
		Args: minimum(1, "a pipeline file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, found := pipelines.Load(args, os.LookupEnv)
			found = append(found, pipelines.LoadTests(set, pipelines.TestFiles(set), os.LookupEnv)...)
			switch output {
			case "json":
				fmt.Fprintf(cmd.OutOrStdout(), "%s\n", found.JSON())
			case "text":
				if err := found.Write(cmd.ErrOrStderr(), colored(os.Stderr)); err != nil {
					return err
				}
			default:
				return coded{exitUsage, fmt.Errorf("--output is text or json, not %q", output)}
			}
			if found.Errors() > 0 {
				return coded{exitInvalid, nil}
			}
			if output == "text" {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d pipelines are fine\n", len(set.Pipelines))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	return cmd
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
