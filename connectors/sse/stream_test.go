package sse

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestStream is the manual of the protocol: testdata/stream says what happens
// to a view and shows every byte that its clients get.
//
//	serve [windowed] [stream] [history=1m] [max-rows=3] [parts=2] [rights]
//	                           rights: who asks (?as=) sees the rows that they own
//	put part=0 key=DE          the value follows; none: a tombstone
//	mark task=0 watermark=10s
//	open <client> [path=…] [cursor=<client>]
//	pass 1s                    virtual time; shows what the clients got
//	cut <client>
//	drain grace=10s
//
// In values T+01000 is a second after the beginning.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world
		clients := map[string]*client{}
		var names []string
		start := time.Now()
		defer func() {
			for _, c := range clients {
				c.close()
			}
			w.stop()
		}()
		datadriven.RunTest(t, "testdata/stream", func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "serve":
				for _, c := range clients {
					c.close()
				}
				clients, names = map[string]*client{}, nil
				if w != nil {
					w.stop()
				}
				parts := 1
				d.MaybeScanArgs(t, "parts", &parts)
				spec := boardSpec(parts)
				if d.HasArg("windowed") {
					spec.Windowed = true
					spec.KeyColumns = append(spec.KeyColumns, "window_start", "window_end")
					spec.History = duration(t, d, "history")
				}
				if d.HasArg("stream") {
					spec.Stream, spec.KeyColumns = true, nil
					d.MaybeScanArgs(t, "max-rows", &spec.MaxRows)
				}
				o := Options{Random: func() float64 { return 0.5 }, Compile: compile}
				if d.HasArg("rights") {
					o.Gate = owners{}
				}
				w = newWorld(t, newMemory(parts), o, spec)
				return ""
			case "put":
				part, key := 0, ""
				d.MaybeScanArgs(t, "part", &part)
				d.MaybeScanArgs(t, "key", &key)
				off := w.topic.put(part, unquote(key), unquote(d.Input))
				synctest.Wait() // the node has read it: who opens next sees it in the snapshot
				return fmt.Sprintf("offset %d\n", off)
			case "mark":
				task := 0
				d.MaybeScanArgs(t, "task", &task)
				w.topic.mark(task, start.Add(duration(t, d, "watermark")).UnixMilli())
				synctest.Wait()
				return ""
			case "open":
				name, path, from := d.CmdArgs[0].Key, "/live/orders/board", ""
				d.MaybeScanArgs(t, "path", &path)
				d.MaybeScanArgs(t, "cursor", &from)
				cursor := from
				if c := clients[from]; c != nil {
					cursor = c.last()
				}
				clients[name] = w.open(path, cursor)
				names = append(names, name)
				return ""
			case "cut":
				clients[d.CmdArgs[0].Key].close()
				synctest.Wait() // the server has noticed
				return ""
			case "drain":
				ctx, cancel := context.WithTimeout(t.Context(), duration(t, d, "grace"))
				go func() {
					defer cancel()
					w.hub.Drain(ctx)
				}()
				return ""
			case "pass":
				dur, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				pass(dur)
				return transcript(clients, names, start)
			}
			d.Fatalf(t, "no command %q", d.Cmd)
			return ""
		})
	})
}

// transcript gives what each client got since the last call; epoch times are
// written as seconds since the bubble's beginning.
func transcript(clients map[string]*client, names []string, start time.Time) string {
	var out strings.Builder
	for _, name := range names {
		c := clients[name]
		c.mu.Lock()
		if c.raw.Len() > 0 {
			fmt.Fprintf(&out, "-- %s\n", name)
			text := strings.ReplaceAll(strings.TrimSuffix(c.raw.String(), "\n"), "\n\n", "\n.\n")
			out.WriteString(text)
			c.raw.Reset()
			if c.closed {
				out.WriteString("(end)\n")
			}
		}
		c.mu.Unlock()
	}
	base := strconv.FormatInt(start.UnixMilli()/100000, 10) // 9466848: the rest is time since then, in ms
	return strings.ReplaceAll(out.String(), base, "T+")
}

func duration(t *testing.T, d *datadriven.TestData, name string) time.Duration {
	var s string
	d.ScanArgs(t, name, &s)
	dur, err := time.ParseDuration(s)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return dur
}

// unquote reads \r and the like where the text has a backslash, and T+ as the
// bubble's beginning.
func unquote(s string) string {
	s = strings.ReplaceAll(s, "T+", "9466848")
	if u, err := strconv.Unquote(`"` + s + `"`); err == nil && !strings.Contains(s, `"`) {
		return u
	}
	return strings.NewReplacer(`<CR>`, "\r", `<LF>`, "\n").Replace(s)
}
