package main

import (
	"fmt"

	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

func explainCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "explain FILE…", Short: "Show what pipelines come down to: streams and tables, tasks, topics, state; without a broker",
		Args: minimum(1, "a pipeline file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known(output, "text", "json", "mermaid", "dot"); err != nil {
				return err
			}
			set, err := load(args, cmd.ErrOrStderr(), false)
			if err != nil {
				return err
			}
			for i, p := range set.Pipelines {
				e, _, err := pipelines.Explain(p)
				if err != nil {
					return coded{exitInvalid, err}
				}
				text := map[string]func() string{
					"text": e.Text, "mermaid": e.Mermaid, "dot": e.Dot, "json": func() string { return string(e.JSON()) },
				}[output]()
				if i > 0 && output == "text" {
					text = "\n" + text
				}
				if _, err := fmt.Fprint(cmd.OutOrStdout(), text); err != nil {
					return fmt.Errorf("write explanation: %w", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "text, json, mermaid or dot")
	return cmd
}
