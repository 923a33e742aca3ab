package realkafka

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options say where a broker lives. The zero value is right for a test.
type Options struct {
	// Dir keeps data, configuration and log. Empty: a temporary folder, which
	// Stop removes. A folder that was used before is used again, with its ports.
	Dir string
	// Heap of the JVM, as in -Xmx. Default 1g.
	Heap string
}

// A Broker is one running node. Its methods are called from one goroutine.
type Broker struct {
	dir     string
	ownDir  bool
	addr    string
	pidFile string
	shell   *exec.Cmd
	hold    io.Closer // closed: the shell ends java
	ended   chan error
}

// Start runs a node and waits until it serves, two minutes at most: seconds are
// enough where nothing else runs.
func Start(ctx context.Context, o Options) (*Broker, error) {
	if o.Heap == "" {
		o.Heap = "1g"
	}
	jars, err := Jars(ctx)
	if err != nil {
		return nil, err
	}
	b := &Broker{dir: o.Dir}
	if b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "realkafka-"); err != nil {
			return nil, fmt.Errorf("make a folder for Kafka: %w", err)
		}
		b.ownDir = true
	}
	if err := b.run(ctx, jars, o.Heap); err != nil {
		b.clean()
		return nil, err
	}
	return b, nil
}

// Addr is the bootstrap address, host:port.
func (b *Broker) Addr() string { return b.addr }

// Dir is the folder with the broker's data and its server.log.
func (b *Broker) Dir() string { return b.dir }

// Stop ends the node as an operator would, with 20 s of patience, and removes
// the folder if it was temporary.
func (b *Broker) Stop() error {
	defer b.clean()
	return b.end(20 * time.Second)
}

// Kill ends the node as a power cut would. Its folder stays: give it to Start.
func (b *Broker) Kill() error { return b.end(0) }

func (b *Broker) run(ctx context.Context, jars, heap string) error {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return fmt.Errorf("make Kafka's folder: %w", err)
	}
	properties, err := b.configure()
	if err != nil {
		return err
	}
	log4j := filepath.Join(b.dir, "log4j2.properties")
	if err := os.WriteFile(log4j, []byte(log4jText), 0o600); err != nil {
		return fmt.Errorf("write Kafka's log configuration: %w", err)
	}
	classes := filepath.Join(jars, "*")
	if _, err := os.Stat(filepath.Join(b.dir, "data", "meta.properties")); err != nil {
		format := exec.CommandContext(ctx, "java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", classes, "-Dlog4j2.configurationFile="+log4j,
			"kafka.tools.StorageTool", "format", "-t", clusterID(), "-c", properties, "--ignore-formatted")
		if out, err := format.CombinedOutput(); err != nil {
			return fmt.Errorf("format Kafka's storage: %w\n%s", err, out)
		}
	}
	log, err := os.Create(filepath.Join(b.dir, "server.log"))
	if err != nil {
		return fmt.Errorf("open Kafka's log: %w", err)
	}
	defer log.Close()

	// The shell between us and java ends java when its input ends: when we
	// close it, and also when we were killed ourselves. It runs in a group of
	// its own, so that a Ctrl-C for us does not reach Kafka before our clients
	// are done with it.
	b.pidFile = filepath.Join(b.dir, "pid")
	os.Remove(b.pidFile)
	b.shell = exec.Command("sh", "-c", holder, "realkafka",
		"java", "-Xms"+heap, "-Xmx"+heap, "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Djava.awt.headless=true",
		"-Dlog4j2.configurationFile="+log4j, "-cp", classes, "kafka.Kafka", properties)
	b.shell.Env = append(os.Environ(), "PIDFILE="+b.pidFile)
	b.shell.Stdout, b.shell.Stderr = log, log
	b.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if b.hold, err = b.shell.StdinPipe(); err != nil {
		return fmt.Errorf("start Kafka: %w", err)
	}
	if err := b.shell.Start(); err != nil {
		return fmt.Errorf("start Kafka: %w", err)
	}
	b.ended = make(chan error, 1)
	go func() { b.ended <- b.shell.Wait() }() // ends with the shell
	if err := b.awaitReady(ctx, log.Name()); err != nil {
		return errors.Join(err, b.end(0))
	}
	return nil
}

// holder runs "$@" until it ends or until standard input does. sh gives a
// command in the background no input of its own, hence the descriptor 3.
const holder = `
"$@" </dev/null &
java=$!
echo $java >"$PIDFILE"
exec 3<&0
{ cat <&3 >/dev/null; kill $java; } 2>/dev/null &
watch=$!
exec 3<&- </dev/null
wait $java
kill $watch
`

// awaitReady watches the log for the line that Kafka writes when it serves.
func (b *Broker) awaitReady(ctx context.Context, log string) error {
	const patience, glance = 2 * time.Minute, 50 * time.Millisecond
	deadline := time.After(patience)
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		text, _ := os.ReadFile(log)
		if strings.Contains(string(text), "Kafka Server started") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start Kafka: %w", ctx.Err())
		case err := <-b.ended:
			b.ended <- err
			return fmt.Errorf("start Kafka: it ended (%v); the end of its log:\n%s", err, tail(text, 2000))
		case <-deadline:
			return fmt.Errorf("start Kafka: not ready within %s; the end of its log:\n%s", patience, tail(text, 2000))
		case <-tick.C:
		}
	}
}

// end asks java to stop, or kills it once patience is over.
func (b *Broker) end(patience time.Duration) error {
	if b.shell == nil {
		return nil
	}
	if patience > 0 {
		b.hold.Close()
		select {
		case <-b.ended:
			b.shell = nil
			return nil
		case <-time.After(patience):
		}
	}
	// The pid is that of our child's child, which lives as long as the shell
	// waits for it: it cannot have become someone else's.
	text, err := os.ReadFile(b.pidFile)
	if err != nil {
		return fmt.Errorf("kill Kafka: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("kill Kafka: %w", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill Kafka: %w", err)
	}
	b.hold.Close()
	<-b.ended
	b.shell = nil
	return nil
}

func (b *Broker) clean() {
	if b.ownDir && b.shell == nil {
		os.RemoveAll(b.dir)
	}
}

// configure writes server.properties, with free ports unless the folder has
// its own already, and returns the file's name.
func (b *Broker) configure() (string, error) {
	file := filepath.Join(b.dir, "server.properties")
	addrFile := filepath.Join(b.dir, "address")
	if addr, err := os.ReadFile(addrFile); err == nil {
		b.addr = string(addr)
		return file, nil
	}
	ports, err := freePorts(2)
	if err != nil {
		return "", fmt.Errorf("find ports for Kafka: %w", err)
	}
	b.addr = fmt.Sprintf("127.0.0.1:%d", ports[0])
	text := fmt.Sprintf(propertiesText, ports[1], b.addr, ports[1], b.addr, filepath.Join(b.dir, "data"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write Kafka's configuration: %w", err)
	}
	if err := os.WriteFile(addrFile, []byte(b.addr), 0o600); err != nil {
		return "", fmt.Errorf("write Kafka's address: %w", err)
	}
	return file, nil
}

// As Kafka's own defaults, but for one node, for tests that start at once, and
// for event times of any age: no retention, no bound on timestamps.
const propertiesText = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%d
listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d
advertised.listeners=PLAINTEXT://%s
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%s
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.message.timestamp.after.max.ms=9223372036854775807
log.retention.ms=-1
log.segment.bytes=268435456
`

const log4jText = `status = error
rootLogger.level = INFO
rootLogger.appenderRef.c.ref = C
appender.c.type = Console
appender.c.name = C
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = [%d] %p %m (%c)%n
`

// freePorts are ports that nobody listened on a moment ago.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// clusterID is a random one in the form that Kafka wants: 16 bytes in base64url.
// The first bits are zero, as one that began with - would be taken for a flag.
func clusterID() string {
	var id [16]byte
	rand.Read(id[:])
	id[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func tail(text []byte, n int) string {
	return string(text[max(0, len(text)-n):])
}
