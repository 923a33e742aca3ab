//go:build kafka

package e2e

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/leatstream/leat/bench/truth"
)

// The main job: events arrive, two workers share them, one is killed in the
// middle and comes back, both are told to go, then both finish the rest. The
// output, read committed, is the known answers: none missing, none twice.
func TestKafkaMainJobSurvivesAKill(t *testing.T) {
	broker := kafka(t)
	for _, c := range []struct {
		name, file string
		keyed      bool
	}{
		{"by the source's own key", "windows.yaml", true},
		{"behind a repartition topic", "rekeyed.yaml", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := connect(t, broker.Addr())
			name := map[bool]string{true: "keyed", false: "rekeyed"}[c.keyed]
			topic := name + "-readings"
			k.create(topic)
			file := pipeline(t, c.file, name, topic)
			dir := t.TempDir()
			run := func(worker string, more ...string) *process {
				return start(t, worker, append([]string{"run", file, "--brokers", broker.Addr(), "--worker-id", worker,
					"--state-dir", filepath.Join(dir, worker), "--flush-every", "1s", "--lanes", "2"}, more...)...)
			}

			// Two lanes each for four partitions: both have a part.
			loaded := make(chan error, 1)
			go func() { loaded <- k.load(topic, c.keyed, 8*time.Second) }()
			a, b := run("a"), run("b")
			k.await(name, topic, truth.EventCount/2, time.Minute, a, b)
			a.kill()
			// Long enough without it that the other has to see what is left.
			k.await(name, topic, truth.EventCount*6/10, 90*time.Second, b)
			a = run("a")
			if err := <-loaded; err != nil {
				t.Fatal(err)
			}
			k.await(name, topic, truth.EventCount, 90*time.Second, a, b)
			a.drain(30 * time.Second)
			b.drain(30 * time.Second)

			a, b = run("a", "--until-end", "--close-windows"), run("b", "--until-end", "--close-windows")
			a.wait(90 * time.Second)
			b.wait(90 * time.Second)
			if err := k.verify(name); err != nil {
				t.Error(err)
			}
		})
	}
}

// One worker, undisturbed, and what it says about itself.
func TestKafkaUntilEndPrintsASummary(t *testing.T) {
	broker := kafka(t)
	k := connect(t, broker.Addr())
	const name, topic = "alone", "alone-readings"
	k.create(topic)
	if err := k.load(topic, true, 0); err != nil {
		t.Fatal(err)
	}
	p := start(t, "alone", "run", pipeline(t, "windows.yaml", name, topic), "--brokers", broker.Addr(),
		"--state-dir", t.TempDir(), "--until-end", "--close-windows")
	p.wait(2 * time.Minute)
	if err := k.verify(name); err != nil {
		t.Error(err)
	}
	s := p.summary()
	t.Logf("%+v", s)
	want := int64(len(truth.Tumbling60().Windows) + len(truth.Hopping60By10().Windows))
	if s.RecordsIn != truth.EventCount || s.RecordsOut != want {
		t.Errorf("%d records in and %d out, want %d and %d", s.RecordsIn, s.RecordsOut, truth.EventCount, want)
	}
	if s.Seconds <= 0 || s.WallSeconds < s.Seconds || s.CPUSeconds <= 0 || s.PeakRSSBytes < 1<<20 {
		t.Errorf("these are no measurements: %+v", s)
	}
}
