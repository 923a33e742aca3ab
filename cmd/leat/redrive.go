package main

import (
	"errors"
	"fmt"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/engine"
	"github.com/spf13/cobra"
)

func redriveCommand() *cobra.Command {
	var in clusterFlags
	var stage, to string
	var limit int
	var dry, quiet bool
	cmd := &cobra.Command{
		Use: "redrive TOPIC", Short: "Send dead letters back to the topics they came from",
		Long: "Sends the records of a dead-letter topic back to the topics and partitions they came from, with\n" +
			"key, value and their own headers. It goes on where the last redrive of the topic ended and stops\n" +
			"at the topic's end as of now. What cannot be sent (cut, without its value, made behind a\n" +
			"repartition) is named and passed over. A crash in between may send a record again.",
		Args: minimum(1, "a dead-letter topic"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return coded{exitUsage, errors.New("one topic at a time")}
			}
			if limit < 0 {
				return coded{exitUsage, fmt.Errorf("--limit is not negative, it is %d", limit)}
			}
			broker, err := in.connect()
			if err != nil {
				return err
			}
			defer broker.Close()
			cluster, ok := broker.Cluster().(*kafka.Cluster)
			if !ok {
				return errors.New("redrive: this broker has no topics")
			}
			out := cmd.OutOrStdout()
			done, err := cluster.Redrive(cmd.Context(), kafka.Redrive{Topic: engine.Topic(args[0]), Stage: stage, To: engine.Topic(to), Limit: limit, Dry: dry,
				Each: func(r engine.Record, from engine.TopicPartition, at engine.Offset, why string) {
					if quiet {
						return
					}
					if why != "" {
						fmt.Fprintf(out, "%s/%d@%d passed over: %s\n", from.Topic, from.Partition, at, why)
						return
					}
					fmt.Fprintf(out, "%s/%d@%d to %s/%d, key %q\n", from.Topic, from.Partition, at, r.Topic, r.Partition, r.Key)
				}})
			verb := "sent"
			if dry {
				verb = "would be sent"
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d %s, %d passed over\n", done.Sent, verb, done.Skipped)
			return err
		},
	}
	in.add(cmd)
	cmd.Flags().StringVar(&stage, "stage", "", "only letters of this stage: decode, event_time, expression, aggregate, late, produce, send")
	cmd.Flags().StringVar(&to, "to", "", "send them to this topic instead")
	cmd.Flags().IntVar(&limit, "limit", 0, "the most that are sent; 0: all")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "send nothing: show what would go")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print the counts only")
	return cmd
}
