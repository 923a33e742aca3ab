package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

type pipeFlags struct {
	sources, sinks  []string
	partitions      int
	restartEvery    int
	tagged, records bool
}

func pipeCommand() *cobra.Command {
	var f pipeFlags
	cmd := &cobra.Command{
		Use: "pipe FILE --source S --sink K", Short: "Run a pipeline on standard input and output, without a broker",
		Long: "Reads rows as lines of JSON, runs the whole engine over logs in memory, and prints the\n" +
			"sink's rows as lines of JSON. All windows close at the end of input.",
		Example: "  leat pipe pipelines/readings.yaml --source readings --sink rolling --partitions 4 < rows.ndjson",
		Args:    minimum(1, "a pipeline file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return pipe(args, f, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringArrayVar(&f.sources, "source", nil, "source NAME[=FILE] to feed; - or nothing is standard input (may repeat)")
	cmd.Flags().StringArrayVar(&f.sinks, "sink", nil, "sink NAME[=FILE] to print (may repeat)")
	cmd.Flags().IntVar(&f.partitions, "partitions", 1, "partitions of every topic")
	cmd.Flags().IntVar(&f.restartEvery, "restart-every", 0, "rebuild every task from the changelog each so many rows; results must not change")
	cmd.Flags().BoolVar(&f.tagged, "tagged", false, `read {"source": …, "key": …, "value": …} lines`)
	cmd.Flags().BoolVar(&f.records, "records", false, "print records: key, value, timestamp, headers")
	return cmd
}

func pipe(files []string, f pipeFlags, stdin io.Reader, stdout, stderr io.Writer) error {
	p, err := one(files, stderr)
	if err != nil {
		return err
	}
	if f.partitions < 1 {
		return coded{exitUsage, errors.New("--partitions must be 1 or more")}
	}
	topo, err := pipelines.Build(p, pipelines.Options{})
	if err != nil {
		return coded{exitInvalid, err}
	}
	outputs, closers, err := openSinks(topo, f, stdout)
	if err != nil {
		return err
	}
	readers, err := sinkReaders(p, topo)
	if err != nil {
		return err
	}
	d, err := engine.NewDriver(topo, engine.DriverOptions{Partitions: f.partitions, Restarts: f.restartEvery > 0, Now: time.Now().UnixMilli(),
		Result: func(t engine.Topic, r engine.Record) {
			if w := outputs[t]; w != nil {
				if read := readers[t]; read != nil {
					r.Key, r.Value = read(r.Key, r.Value)
				}
				writeRecord(w, r, f.records)
			}
		}})
	if err != nil {
		return err
	}
	feeds, err := openSources(topo, f, d, stdin)
	if err != nil {
		return err
	}
	for _, in := range feeds.list {
		if in.encode, err = p.RowEncoder(in.spec.Name); err != nil {
			return err
		}
	}
	n := 0
	for {
		rows, err := feeds.next()
		if err != nil {
			return err
		}
		if rows == 0 {
			break
		}
		if n += rows; f.restartEvery > 0 && n >= f.restartEvery {
			n = 0
			if err := d.Restart(); err != nil {
				return err
			}
			continue
		}
		if err := d.Run(); err != nil {
			return err
		}
	}
	if err := d.Close(); err != nil {
		return err
	}
	for _, c := range closers {
		err = errors.Join(err, c())
	}
	return err
}

// sinkReaders gives what makes JSON of binary records, by topic.
func sinkReaders(p *pipelines.Pipeline, topo *engine.Topology) (map[engine.Topic]func(key, value []byte) (k, v []byte), error) {
	out := map[engine.Topic]func(key, value []byte) (k, v []byte){}
	for _, sub := range topo.Subs {
		for _, n := range sub.Nodes {
			if !strings.HasPrefix(n.Kind, "sink") || len(n.Outputs) == 0 {
				continue
			}
			read, err := p.RowDecoder(n.Name)
			if err != nil {
				return nil, err
			}
			out[n.Outputs[0].Topic] = read
		}
	}
	return out, nil
}

// openSinks finds the topics of the sinks to print.
func openSinks(topo *engine.Topology, f pipeFlags, stdout io.Writer) (map[engine.Topic]*bufio.Writer, []func() error, error) {
	topics := map[string]engine.Topic{}
	var names []string
	for _, sub := range topo.Subs {
		for _, n := range sub.Nodes {
			if strings.HasPrefix(n.Kind, "sink") && len(n.Outputs) > 0 {
				topics[n.Name] = n.Outputs[0].Topic
				names = append(names, n.Name)
			}
		}
	}
	if len(f.sinks) == 0 {
		if len(names) != 1 {
			return nil, nil, coded{exitUsage, fmt.Errorf("which --sink? there are %s", strings.Join(names, ", "))}
		}
		f.sinks = names
	}
	main := bufio.NewWriterSize(stdout, 1<<16)
	closers := []func() error{main.Flush}
	out := map[engine.Topic]*bufio.Writer{}
	for _, s := range f.sinks {
		name, file, _ := strings.Cut(s, "=")
		topic, ok := topics[name]
		if !ok {
			return nil, nil, coded{exitUsage, fmt.Errorf("there is no sink %q, there are %s", name, strings.Join(names, ", "))}
		}
		w := main
		if file != "" && file != "-" {
			fh, err := os.Create(file)
			if err != nil {
				return nil, nil, coded{exitEnvironment, err}
			}
			w = bufio.NewWriterSize(fh, 1<<16)
			closers = append(closers, w.Flush, fh.Close)
		}
		out[topic] = w
	}
	return out, closers, nil
}

func writeRecord(w *bufio.Writer, r engine.Record, whole bool) {
	if !whole {
		if r.Value != nil { // deletes are left out
			w.Write(r.Value)
			w.WriteByte('\n')
		}
		return
	}
	rec := map[string]any{"key": nil, "value": nil, "timestamp": r.Time, "partition": r.Partition}
	if r.Key != nil {
		rec["key"] = string(r.Key)
	}
	if r.Value != nil {
		rec["value"] = string(r.Value)
		if json.Valid(r.Value) {
			rec["value"] = json.RawMessage(r.Value)
		}
	}
	headers := map[string]string{}
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	if len(headers) > 0 {
		rec["headers"] = headers
	}
	b, _ := json.Marshal(rec)
	w.Write(b)
	w.WriteByte('\n')
}

// feeds reads the sources in chunks; several are merged by event time.
type feeds struct {
	f     pipeFlags
	d     *engine.Driver
	list  []*feed
	chunk int
}

// feed is one source being read.
type feed struct {
	spec   *engine.SourceSpec
	lines  *bufio.Reader
	router *engine.Router
	line   int
	done   bool
	encode func(row []byte) ([]byte, error) // nil: lines are the values
	head   *engine.Record                   // read ahead, when several are merged
}

func openSources(topo *engine.Topology, f pipeFlags, d *engine.Driver, stdin io.Reader) (*feeds, error) {
	all := topo.SourceSpecs()
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	fs := &feeds{f: f, d: d, chunk: 1000}
	if f.restartEvery > 0 {
		fs.chunk = min(fs.chunk, f.restartEvery)
	}
	if f.tagged {
		for _, n := range names {
			fs.list = append(fs.list, &feed{spec: all[n], router: engine.NewRouter(all[n], d.Partitions())})
		}
		fs.list[0].lines = bufio.NewReaderSize(stdin, 1<<20)
		return fs, nil
	}
	if len(f.sources) == 0 {
		if len(names) != 1 {
			return nil, coded{exitUsage, fmt.Errorf("which --source? there are %s", strings.Join(names, ", "))}
		}
		f.sources = names
	}
	for _, s := range f.sources {
		name, file, _ := strings.Cut(s, "=")
		spec := all[name]
		if spec == nil {
			return nil, coded{exitUsage, fmt.Errorf("there is no source %q, there are %s", name, strings.Join(names, ", "))}
		}
		in := stdin
		if file != "" && file != "-" {
			fh, err := os.Open(file)
			if err != nil {
				return nil, coded{exitEnvironment, err}
			}
			in = fh
		}
		fs.list = append(fs.list, &feed{spec: spec, lines: bufio.NewReaderSize(in, 1<<20), router: engine.NewRouter(spec, d.Partitions())})
	}
	return fs, nil
}

// next feeds up to a chunk of rows and tells how many.
func (fs *feeds) next() (int, error) {
	switch {
	case fs.f.tagged:
		return fs.nextTagged()
	case len(fs.list) == 1:
		return fs.list[0].feedChunk(fs.d, fs.chunk)
	}
	n := 0
	for n < fs.chunk {
		var first *feed
		for _, f := range fs.list {
			if f.head == nil && !f.done {
				values, err := f.read(1, true)
				if err != nil {
					return n, err
				}
				if len(values) == 1 {
					r := f.router.Route(nil, values)[0]
					f.head = &r
				}
			}
			if f.head != nil && (first == nil || f.head.Time < first.head.Time) {
				first = f
			}
		}
		if first == nil {
			return n, nil
		}
		fs.d.Feed(*first.head)
		first.head = nil
		n++
	}
	return n, nil
}

// read takes up to n lines, blank ones left out; rows says that a line is a row.
func (f *feed) read(n int, rows bool) ([][]byte, error) {
	var values [][]byte
	for len(values) < n && !f.done {
		line, err := f.lines.ReadBytes('\n')
		if err == io.EOF {
			f.done = true
		} else if err != nil {
			return nil, coded{exitEnvironment, fmt.Errorf("read source %q: %w", f.spec.Name, err)}
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if rows {
				line = f.value(line)
			}
			values = append(values, line)
		}
	}
	return values, nil
}

// value is a line in the source's format: rows are JSON objects, all else goes
// as it is.
func (f *feed) value(line []byte) []byte {
	if f.encode == nil || len(line) == 0 || line[0] != '{' {
		return line
	}
	if value, err := f.encode(line); err == nil {
		return value
	}
	return line // it meets its error in the pipeline
}

func (f *feed) feedChunk(d *engine.Driver, n int) (int, error) {
	values, err := f.read(n, true)
	if err != nil || len(values) == 0 {
		return 0, err
	}
	for _, r := range f.router.Route(nil, values) {
		d.Feed(r)
	}
	return len(values), nil
}

// tagged is a line of --tagged.
type tagged struct {
	Source    string            `json:"source"`
	Key       json.RawMessage   `json:"key"`
	Value     json.RawMessage   `json:"value"`
	Timestamp *int64            `json:"timestamp"`
	Partition *int32            `json:"partition"`
	Headers   map[string]string `json:"headers"`
}

func (fs *feeds) nextTagged() (int, error) {
	in := fs.list[0]
	values, err := in.read(fs.chunk, false)
	if err != nil {
		return 0, err
	}
	for _, v := range values {
		in.line++
		var t tagged
		if err := json.Unmarshal(v, &t); err != nil {
			return 0, coded{exitRun, fmt.Errorf("line %d: %w", in.line, err)}
		}
		i := slices.IndexFunc(fs.list, func(f *feed) bool { return f.spec.Name == t.Source })
		if i < 0 {
			return 0, coded{exitRun, fmt.Errorf("line %d: there is no source %q", in.line, t.Source)}
		}
		var key []byte
		if len(t.Key) > 0 && string(t.Key) != "null" {
			key = textOf(t.Key)
		}
		value := []byte(t.Value)
		if string(value) == "null" {
			value = nil
		}
		value = fs.list[i].value(value)
		var keys [][]byte
		if key != nil {
			keys = [][]byte{key}
		}
		r := fs.list[i].router.Route(keys, [][]byte{value})[0]
		if t.Timestamp != nil {
			r.Time = *t.Timestamp
		}
		if t.Partition != nil {
			r.Partition = engine.Partition(*t.Partition) % engine.Partition(fs.d.Partitions())
		}
		for _, k := range slices.Sorted(mapKeys(t.Headers)) {
			r.Headers = append(r.Headers, engine.Header{Key: k, Value: []byte(t.Headers[k])})
		}
		fs.d.Feed(r)
	}
	return len(values), nil
}

// textOf is a JSON value as a wire key: a string without its quotes.
func textOf(v json.RawMessage) []byte {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return []byte(s)
	}
	return v
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
