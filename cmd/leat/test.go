package main

import (
	"fmt"
	"os"

	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

func testCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test FILE…", Short: "Run the tests of pipelines: rows in, rows out, on virtual time, without a broker",
		Args: minimum(1, "a pipeline file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := load(args, cmd.ErrOrStderr(), false)
			if err != nil {
				return err
			}
			found := pipelines.LoadTests(set, pipelines.TestFiles(set), os.LookupEnv)
			if err := found.Write(cmd.ErrOrStderr(), colored(os.Stderr)); err != nil {
				return err
			}
			if found.Errors() > 0 {
				return coded{exitInvalid, nil}
			}
			passed, failed := 0, 0
			for _, p := range set.Pipelines {
				bad, err := pipelines.RunTests(p, pipelines.Options{}, pipelines.NewMemoryDriver, func(r pipelines.TestResult) {
					word := "ok  "
					if len(r.Failures) > 0 {
						word = "FAIL"
					} else {
						passed++
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s  %s: %s\n", word, r.Pipeline, r.Name)
					_ = r.Failures.Write(cmd.OutOrStdout(), colored(os.Stdout))
				})
				if err != nil {
					return err
				}
				failed += bad
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d passed, %d failed\n", passed, failed)
			if failed > 0 {
				return coded{exitTests, nil}
			}
			if passed == 0 {
				return coded{exitTests, fmt.Errorf("there are no tests in these pipelines")}
			}
			return nil
		},
	}
}
