package truth

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed testdata/*.gz
var files embed.FS

// The events' own text, and what proves that it was rendered faithfully.
const (
	EventCount   = 200_000
	EventsSHA256 = "ef3b5766012e22f6baecd80a71d0fcccfd5794b5f1cb530bce54ab370cb63969"
	epochMS      = 1_700_000_000_000
)

// An Event is one reading as it is produced: its key (the sensor's id), the
// JSON that holds it, and its event time in epoch milliseconds.
type Event struct {
	Key   string
	Value []byte
	TS    int64
}

// Events are all readings in arrival order. The slice is the caller's, the
// bytes are shared: do not write to them.
func Events() []Event { return append([]Event(nil), events()...) }

// Lines are the events' values, one per line, as a person would pipe them in.
func Lines(events []Event) []byte {
	var out bytes.Buffer
	for _, e := range events {
		out.Write(e.Value)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

var events = sync.OnceValue(func() []Event {
	out := make([]Event, 0, EventCount)
	mustScan("events", func(line string) error {
		// sensor,site,ts-epoch,temp,hum,bat,status,fw: the columns that vary.
		f := strings.Split(line, ",")
		if len(f) != 8 {
			return fmt.Errorf("%d fields, want 8", len(f))
		}
		sensor, err := strconv.Atoi(f[0])
		if err != nil {
			return err
		}
		after, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return err
		}
		key, ts := sensorID(sensor), epochMS+after
		value := fmt.Appendf(nil, `{"sensor_id":"%s","site":"%s","ts":%d,"temp":%s,"hum":%s,"bat":%s,"status":"%s","fw":"%s","unit":"C","loc":{"lat":52.52,"lon":13.405},"seq":%d}`,
			key, f[1], ts, f[3], f[4], f[5], f[6], f[7], len(out))
		out = append(out, Event{Key: key, Value: value, TS: ts})
		return nil
	})
	return out
})

func sensorID(n int) string { return fmt.Sprintf("s-%05d", n) }

// mustScan hands each line of a file in testdata to f. The files are part of
// the program: one that does not read is a broken build, hence the panic.
func mustScan(name string, f func(line string) error) {
	file, err := files.Open("testdata/" + name + ".csv.gz")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		panic(fmt.Errorf("unzip %s: %w", name, err))
	}
	lines := bufio.NewScanner(unzipped)
	for n := 1; lines.Scan(); n++ {
		if err := f(lines.Text()); err != nil {
			panic(fmt.Errorf("%s line %d: %w", name, n, err))
		}
	}
	if err := lines.Err(); err != nil {
		panic(fmt.Errorf("read %s: %w", name, err))
	}
}
