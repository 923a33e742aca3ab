package main

import (
	"errors"
	"log/slog"
	"os"
	"strings"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

// clusterFlags name the cluster that a command is for.
type clusterFlags struct{ brokers, config string }

// add gives a command the flags.
func (f *clusterFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.brokers, "brokers", "", "host:port,… of Kafka or Redpanda (or LEAT_BROKERS, or leat.yaml)")
	cmd.Flags().StringVar(&f.config, "config", "", "worker config (default leat.yaml, where it exists)")
}

// connect opens the broker that the flags, the environment or leat.yaml name.
func (f clusterFlags) connect() (*kafka.Broker, error) {
	cfg, err := workerConfig(f.config)
	if err != nil {
		return nil, err
	}
	brokers := brokersOf(f.brokers, cfg)
	if len(brokers) == 0 {
		return nil, coded{exitUsage, errors.New("missing: --brokers, LEAT_BROKERS or brokers in leat.yaml")}
	}
	kc := cfg.Kafka
	kc.Brokers, kc.Logger = brokers, slog.New(slog.DiscardHandler)
	return kafka.Connect(kc)
}

// brokersOf gives the brokers of a flag, of LEAT_BROKERS, or of leat.yaml.
func brokersOf(flag string, cfg pipelines.Config) []string {
	for _, given := range []string{flag, os.Getenv("LEAT_BROKERS")} {
		if given != "" {
			return strings.Split(given, ",")
		}
	}
	return cfg.Brokers
}
