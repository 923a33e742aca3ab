// Command leat runs streaming pipelines written in YAML. This package holds
// flags, signals and exit codes: one file per command, nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // zones of format_time do not depend on the host

	"github.com/leatstream/leat/engine"
	"github.com/spf13/cobra"
)

// The exit codes, as docs/reference.md lists them.
const (
	exitOK          = 0
	exitRun         = 1
	exitUsage       = 2
	exitInvalid     = 3
	exitTests       = 4
	exitEnvironment = 5
	exitState       = 6
)

// coded is an error that knows its exit code. An error whose text was already
// printed has none.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string {
	if c.err == nil {
		return ""
	}
	return c.err.Error()
}

func (c coded) Unwrap() error { return c.err }

func main() {
	// Most of the heap is pointer-free tables and buffers that live for one
	// commit: collecting less often costs memory that is bounded elsewhere.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	ctx, stop := signals()
	defer stop()
	os.Exit(exitCode(rootCommand().ExecuteContext(ctx)))
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "leat",
		Short:         "Streaming pipelines in YAML on Kafka: event-time windows, exactly once, live dashboards",
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Version:           versionLine(),
	}
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(runCommand(), serveCommand(), pipeCommand(), testCommand(), lintCommand(), explainCommand(), dashboardCommand(), planCommand(), resetCommand(), schemaCommand(), redriveCommand(), vapidCommand(), demoCommand(), brokerCommand(), versionCommand())
	return root
}

// exitCode prints an error, once, and finds its code.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	err = plainUsage(err)
	if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, "leat:", text)
	}
	var c coded
	if errors.As(err, &c) {
		return c.code
	}
	var e *engine.Error
	if errors.As(err, &e) {
		switch e.Kind {
		case engine.Environment:
			return exitEnvironment
		case engine.Incompatible, engine.Corrupt:
			return exitState
		}
	}
	return exitRun
}

// signals: the first SIGTERM or SIGINT drains, the second stops at once.
func signals() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGINT)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(ch, syscall.SIGHUP) // a terminal that is closed
	}
	go func() {
		if _, ok := <-ch; !ok {
			return
		}
		fmt.Fprintln(os.Stderr, "leat: draining (once more stops at once)")
		cancel()
		if s, ok := <-ch; ok {
			os.Exit(128 + int(s.(syscall.Signal)))
		}
	}()
	return ctx, func() { signal.Stop(ch); close(ch); cancel() }
}
