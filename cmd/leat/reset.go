package main

import (
	"fmt"

	"github.com/leatstream/leat/engine"
	"github.com/spf13/cobra"
)

func resetCommand() *cobra.Command {
	var in clusterFlags
	cmd := &cobra.Command{
		Use: "reset FILE…", Short: "Make the next start of pipelines compute all anew, from where their sources start",
		Long: "The next leat run of a pipeline is a new generation: it has new internal topics and a new\n" +
			"consumer group, so that all state is computed anew from where the sources start. Rows of live\n" +
			"views are deleted; results in the topics of sinks stay, and come again; alerts may be sent again.\n" +
			"Topics of the generation before are left: delete them when nobody needs the way back.\n\n" +
			"Refused, with exit code 6, while somebody runs the pipeline.",
		Args: minimum(1, "a pipeline file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := load(args, cmd.ErrOrStderr(), false)
			if err != nil {
				return err
			}
			broker, err := in.connect()
			if err != nil {
				return err
			}
			defer broker.Close()
			for _, p := range set.Pipelines {
				generation, err := engine.Reset(cmd.Context(), p.Name.Text, broker.Cluster())
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "pipeline %s: the next start begins generation %d\n", p.Name.Text, generation); err != nil {
					return fmt.Errorf("write what was reset: %w", err)
				}
			}
			return nil
		},
	}
	in.add(cmd)
	return cmd
}
