package oracle

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/leatstream/leat/bench/realkafka"
)

//go:embed java/pom.xml
var pom []byte

//go:embed java/Oracle.java
var program []byte

// Answer is what Kafka Streams made of a case: the records that it wrote after
// each row.
type Answer struct {
	ID    int        `json:"id"`
	Steps [][]Output `json:"steps"`
	Error string     `json:"error"`
}

// Output is one record that Kafka Streams wrote; see Oracle.java for its texts.
type Output struct {
	Key   *string `json:"k"`
	Value *string `json:"v"` // nil: a delete
	Time  int64   `json:"t"`
}

// Judge is a JVM that answers cases. Not safe for concurrent use.
type Judge struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	dir    string
}

// Missing says what must be installed before Start can work; nil if nothing.
func Missing() error {
	if _, err := exec.LookPath("javac"); err != nil {
		return errors.Join(realkafka.Missing(), errors.New("the oracle is compiled where it runs: a JDK 17 or newer (javac) must be on the PATH"))
	}
	return realkafka.Missing()
}

// Java prepares to run a program of one Java file with Kafka Streams; flags are
// the JVM's. Its source is kept in dir.
func Java(ctx context.Context, dir, name string, source []byte, flags []string, args ...string) (*exec.Cmd, error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	jars, err := realkafka.Fetch(ctx, pom)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	// One file is compiled in memory by java itself.
	all := append(append([]string{}, flags...), "-Djava.io.tmpdir="+dir, "-cp", filepath.Join(jars, "*"), file)
	return exec.CommandContext(ctx, "java", append(all, args...)...), nil
}

// Start starts a judge; Close ends it.
func Start(ctx context.Context) (*Judge, error) {
	dir, err := os.MkdirTemp("", "oracle-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the judge: %w", err)
	}
	j := &Judge{dir: dir}
	if err := j.start(ctx); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return j, nil
}

func (j *Judge) start(ctx context.Context) (err error) {
	// The first compiler is enough: a run is over before the second would pay.
	flags := []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
	if j.cmd, err = Java(ctx, j.dir, "Oracle.java", program, flags); err != nil {
		return err
	}
	j.cmd.Stderr = &j.stderr
	if j.in, err = j.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("start the judge: %w", err)
	}
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start the judge: %w", err)
	}
	j.out = bufio.NewReaderSize(out, 1<<16)
	if err := j.cmd.Start(); err != nil {
		return fmt.Errorf("start the judge: %w", err)
	}
	return nil
}

// Ask gives the judge's answers to cases, in order. Each is handed to fn as
// soon as it is there.
func (j *Judge) Ask(cases []Case, fn func(i int, a Answer)) error {
	fed := make(chan error, 1)
	go func() { fed <- j.feed(cases) }() // ends with the last case, or when the judge does
	for i := range cases {
		line, err := j.out.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("ask the judge: %w\n%s", err, j.stderr.Bytes())
		}
		var a Answer
		if err := json.Unmarshal(line, &a); err != nil {
			return fmt.Errorf("read the judge's answer %q: %w", line, err)
		}
		if a.Error != "" || a.ID != cases[i].ID {
			return fmt.Errorf("the judge failed on case %d (%s): %d %s", cases[i].ID, cases[i].Op, a.ID, a.Error)
		}
		fn(i, a)
	}
	return <-fed
}

func (j *Judge) feed(cases []Case) error {
	w := bufio.NewWriterSize(j.in, 1<<16)
	enc := json.NewEncoder(w)
	for i := range cases {
		if err := enc.Encode(&cases[i]); err != nil {
			return fmt.Errorf("hand case %d to the judge: %w", cases[i].ID, err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("hand cases to the judge: %w", err)
	}
	return nil
}

// Close ends the judge.
func (j *Judge) Close() error {
	defer os.RemoveAll(j.dir)
	j.in.Close()
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("end the judge: %w\n%s", err, j.stderr.Bytes())
	}
	return nil
}
