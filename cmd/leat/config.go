package main

import (
	"os"

	"github.com/leatstream/leat/pipelines"
)

// workerConfig reads leat.yaml: the file named, or the one in this folder.
func workerConfig(file string) (pipelines.Config, error) {
	if file == "" {
		if _, err := os.Stat("leat.yaml"); err != nil {
			return pipelines.Config{}, nil
		}
		file = "leat.yaml"
	}
	cfg, found := pipelines.LoadConfig(file, os.LookupEnv)
	if err := found.Write(os.Stderr, colored(os.Stderr)); err != nil {
		return cfg, err
	}
	if found.Errors() > 0 {
		return cfg, coded{exitInvalid, nil}
	}
	return cfg, nil
}
