package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

type testFlags struct {
	run, junit, output        string
	update, coverage, verbose bool
}

func testCommand() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use: "test FILE…", Short: "Run the tests of pipelines: rows in, rows out, on virtual time, without a broker",
		Long: "Runs tests: of the pipelines and the *_test.yaml files beside them. A test that passes runs once\n" +
			"more with every task rebuilt after each step: its results must not change.",
		Example: "  leat test pipelines/\n  leat test pipelines/orders.yaml --run 'closes once' -v\n  leat test pipelines/ --update",
		Args:    minimum(1, "a pipeline file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return test(args, f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&f.run, "run", "", "only tests whose \"pipeline: name\" matches this regular expression")
	cmd.Flags().BoolVar(&f.update, "update", false, "rewrite what failing expectations expect, in the files, to what there is")
	cmd.Flags().StringVar(&f.junit, "junit", "", "write a JUnit XML report to this file, too")
	cmd.Flags().StringVar(&f.output, "output", "text", "text or json")
	cmd.Flags().BoolVar(&f.coverage, "coverage", false, "say which parts of the pipelines no test reaches")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "name the tests that pass, too")
	return cmd
}

func test(args []string, f testFlags, stdout, stderr io.Writer) error {
	if f.output != "text" && f.output != "json" {
		return coded{exitUsage, fmt.Errorf("--output is text or json, not %q", f.output)}
	}
	only, err := regexp.Compile(f.run)
	if err != nil {
		return coded{exitUsage, fmt.Errorf("--run is no regular expression: %w", err)}
	}
	files, err := pipelinesOf(args)
	if err != nil {
		return err
	}
	set, err := loadTests(files, stderr)
	if err != nil {
		return err
	}
	report := &testReport{begin: time.Now(), verbose: f.verbose, Tests: []testCase{}}
	if f.output == "text" {
		report.text = stdout
	}
	for _, p := range set.Pipelines {
		if err := report.pipeline(p, only, f); err != nil {
			return err
		}
	}
	report.Seconds = time.Since(report.begin).Seconds()
	if f.update {
		if report.Changes, err = pipelines.ApplyEdits(report.edits); err != nil {
			return coded{exitEnvironment, err}
		}
	}
	if f.junit != "" {
		if err := report.writeJUnit(f.junit); err != nil {
			return coded{exitEnvironment, err}
		}
	}
	if err := report.write(stdout); err != nil {
		return err
	}
	switch {
	case report.Failed > 0:
		return coded{exitTests, nil}
	case report.Passed == 0 && f.run != "":
		return coded{exitTests, fmt.Errorf("no test matches --run %q", f.run)}
	case report.Passed == 0:
		return coded{exitTests, errors.New("there are no tests in these pipelines: they stand under tests: in the pipeline, or beside it in NAME_test.yaml (docs/how-to/test-pipelines.md)")}
	}
	return nil
}

// pipelinesOf lets a file of tests stand for the pipeline beside it.
func pipelinesOf(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		ext := filepath.Ext(arg)
		if base, isTest := strings.CutSuffix(strings.TrimSuffix(arg, ext), "_test"); isTest && (ext == ".yaml" || ext == ".yml") {
			arg = base + ext
			if _, err := os.Stat(arg); err != nil {
				return nil, coded{exitUsage, fmt.Errorf("%s_test%s holds tests of %s, which is not there", base, ext, arg)}
			}
		}
		if !slices.Contains(out, arg) {
			out = append(out, arg)
		}
	}
	return out, nil
}

func loadTests(files []string, stderr io.Writer) (*pipelines.Set, error) {
	set, err := load(files, stderr, false)
	if err != nil {
		return nil, err
	}
	found := pipelines.LoadTests(set, pipelines.TestFiles(set), os.LookupEnv)
	if err := found.Write(stderr, colored(stderr)); err != nil {
		return nil, err
	}
	if found.Errors() > 0 {
		return nil, coded{exitInvalid, nil}
	}
	return set, nil
}
