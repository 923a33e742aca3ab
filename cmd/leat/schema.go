package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

func schemaCommand() *cobra.Command {
	names := pipelines.SchemaNames()
	return &cobra.Command{
		Use: "schema [" + strings.Join(names, "|") + "]", Short: "Print a JSON Schema, so that editors complete and check as you type",
		Long: "Prints the JSON Schema (draft 2020-12) of pipelines, of the worker's config leat.yaml or\n" +
			"of *_test.yaml files; without an argument that of pipelines. docs/how-to/editor.md says\n" +
			"how editors take it.",
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !slices.Contains(names, args[0]) {
				return coded{exitUsage, fmt.Errorf("schema takes one of %s, not %q", strings.Join(names, ", "), strings.Join(args, " "))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name := names[0]
			if len(args) == 1 {
				name = args[0]
			}
			text, err := pipelines.JSONSchema(name)
			if err != nil {
				return err
			}
			if _, err := cmd.OutOrStdout().Write(text); err != nil {
				return fmt.Errorf("write schema: %w", err)
			}
			return nil
		},
	}
}
