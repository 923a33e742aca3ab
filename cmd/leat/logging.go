package main

import (
	"io"
	"log/slog"
	"time"
)

// newLog is the log of a process, for people: durations have no more digits
// than they read. verbose tells the clients' details, too.
func newLog(to io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level, ReplaceAttr: roundDuration}))
}

// roundDuration gives a duration in whole milliseconds; a shorter one stays.
func roundDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration && a.Value.Duration().Abs() >= time.Millisecond {
		return slog.Duration(a.Key, a.Value.Duration().Round(time.Millisecond))
	}
	return a
}
