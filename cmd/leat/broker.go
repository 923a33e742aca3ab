package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/spf13/cobra"
)

func brokerCommand() *cobra.Command {
	var dir, addr string
	var topics []string
	cmd := &cobra.Command{
		Use: "broker", Short: "Run the embedded broker: for development and tests, not for production",
		Long: "Runs the embedded Kafka-compatible broker on the loopback, with its data in a folder.\n" +
			"One process, no replication, not durable against power loss, no access control: for\n" +
			"development, demos and tests. Production wants Apache Kafka or Redpanda.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			seeds := map[string]int{}
			for _, t := range topics {
				name, n, ok := strings.Cut(t, ":")
				count, err := strconv.Atoi(n)
				if !ok || err != nil || count < 1 {
					return coded{exitUsage, fmt.Errorf("--topic is NAME:PARTITIONS, not %q", t)}
				}
				seeds[name] = count
			}
			b, err := embedded.Start(dir, addr, embedded.Options{Topics: seeds})
			if err != nil {
				return coded{exitEnvironment, err}
			}
			defer b.Close()
			fmt.Fprintf(cmd.ErrOrStderr(), "leat: embedded broker on %s, data in %s (development only: one process, no replication)\n", strings.Join(b.Addrs(), ","), dir)
			<-cmd.Context().Done()
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", ".leat/broker", "folder of the broker's data")
	cmd.Flags().StringVar(&addr, "listen", "127.0.0.1:9092", "address, loopback only")
	cmd.Flags().StringArrayVar(&topics, "topic", nil, "create NAME:PARTITIONS (may repeat)")
	return cmd
}
