package main

import (
	"errors"
	"io"
	"os"
	"slices"

	"github.com/leatstream/leat/connectors/registry"
	"github.com/leatstream/leat/pipelines"
)

// load reads pipelines and prints what is wrong with them; errors end the
// command with exit code 3. Warnings are for those who lint and run.
func load(paths []string, stderr io.Writer, warnings bool) (*pipelines.Set, error) {
	return loadWith(paths, loadOptions(""), stderr, warnings)
}

// loadOptions are those of leat.yaml, or of the config file named.
func loadOptions(config string) pipelines.LoadOptions {
	return pipelines.LoadOptions{Env: os.LookupEnv, Schemas: func() (registry.Registry, error) {
		if os.Getenv("LEAT_SCHEMA_REGISTRY") != "" && config == "" {
			return pipelines.SchemaRegistry{}.Open(os.LookupEnv)
		}
		cfg, err := workerConfig(config)
		if err != nil {
			return nil, errors.New("the schema registry is not known: the worker's config has errors")
		}
		return cfg.SchemaRegistry.Open(os.LookupEnv)
	}}
}

func loadWith(paths []string, o pipelines.LoadOptions, stderr io.Writer, warnings bool) (*pipelines.Set, error) {
	set, found := pipelines.LoadWith(paths, o)
	if !warnings {
		found = slices.DeleteFunc(found, func(d pipelines.Diagnostic) bool { return d.Severity != pipelines.Error })
	}
	if err := found.Write(stderr, colored(stderr)); err != nil {
		return nil, err
	}
	if found.Errors() > 0 {
		return nil, coded{exitInvalid, nil}
	}
	if len(set.Pipelines) == 0 {
		return nil, coded{exitInvalid, errors.New("there is no pipeline in these files")}
	}
	return set, nil
}

// one reads files that must hold one pipeline.
func one(paths []string, stderr io.Writer) (*pipelines.Pipeline, error) {
	set, err := load(paths, stderr, false)
	if err != nil {
		return nil, err
	}
	if len(set.Pipelines) > 1 {
		return nil, coded{exitUsage, errors.New("the file holds several pipelines; this command takes one")}
	}
	return set.Pipelines[0], nil
}

// colored says whether to colour: a terminal that is not dumb, no NO_COLOR.
func colored(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
