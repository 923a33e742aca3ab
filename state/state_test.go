package state

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestState runs the texts in testdata. All use a store "s" whose family 0 has
// a number and a text per key and pane, and whose family 1 has a number; on a
// file system in memory that can crash.
//
//	open [identity=…] [budget=…]     open the folder; memory: no disk at all
//	lease [task=…] [as=…] [fingerprint=…] [stores=(s,…)]
//	write | remove                   lines "key pane …"; a pane is 10, sent:10 or max
//	expire [sent:]N                  changes | commit off=N [meta=…] | rollback
//	apply | release | abandon | wipe | flush | close | crash | check | drop
//	restore                          lines "key value", value as changes printed it, or nil
//	dump                             what a table holds; disk: what Pebble holds
//	plant key=… [value=…]            write raw bytes into Pebble
//
// Commands are about the lease named by l=…, "l" if not given.
func TestState(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		h := &harness{t: t, fs: vfs.NewCrashableMem(), leases: map[string]*Lease{}}
		defer h.closeDB()
		datadriven.RunTest(t, path, h.run)
	})
}

type harness struct {
	t      *testing.T
	fs     *vfs.MemFS
	db     *DB
	leases map[string]*Lease
	out    strings.Builder
}

func (h *harness) run(t *testing.T, d *datadriven.TestData) string {
	h.out.Reset()
	cmd := map[string]func(*datadriven.TestData) error{
		"open": h.open, "close": func(*datadriven.TestData) error { return h.closeDB() }, "crash": h.crash, "lease": h.lease,
		"write": h.write, "remove": h.remove, "expire": h.expire, "changes": h.changes, "commit": h.commit,
		"restore": h.restore, "restore-expire": h.restoreExpire, "dump": h.dump, "disk": h.disk, "scan": h.scan,
		"plant": h.plant, "budget": h.budget, "find": h.find, "active": h.active, "set-aside": h.setAside, "folder": h.folder,
		"rollback": func(d *datadriven.TestData) error { h.l(d).Rollback(); return nil },
		"apply":    func(d *datadriven.TestData) error { return h.l(d).Apply() },
		"release":  func(d *datadriven.TestData) error { return h.l(d).Release() },
		"abandon":  func(d *datadriven.TestData) error { h.l(d).Abandon(); return nil },
		"wipe":     func(d *datadriven.TestData) error { return h.l(d).Wipe() },
		"flush":    func(*datadriven.TestData) error { return h.db.Flush() },
		"check":    func(*datadriven.TestData) error { return h.db.Check() },
		"drop":     h.drop,
	}[d.Cmd]
	if cmd == nil {
		t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	}
	if err := cmd(d); err != nil {
		fmt.Fprintln(&h.out, "error:", err)
		for _, e := range []error{ErrStale, ErrCorrupt, ErrDamaged, ErrLeased, ErrInUse, ErrOtherIdentity, ErrClosed} {
			if errors.Is(err, e) {
				fmt.Fprintln(&h.out, "is:", e)
			}
		}
	}
	if h.out.Len() == 0 {
		return "ok"
	}
	return anyPid.ReplaceAllString(h.out.String(), "pid N")
}

var anyPid = regexp.MustCompile(`pid \d+`)

func (h *harness) l(d *datadriven.TestData) *Lease { return h.leases[arg(d, "l", "l")] }

func (h *harness) table(d *datadriven.TestData) *Table { return h.l(d).table(arg(d, "store", "s")) }

func arg(d *datadriven.TestData, key, otherwise string) string {
	if !d.HasArg(key) {
		return otherwise
	}
	var v string
	d.ScanArgs(&testing.T{}, key, &v)
	return v
}

// bare gives the argument without a value.
func bare(d *datadriven.TestData) string {
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			return a.Key
		}
	}
	return ""
}

func (h *harness) open(d *datadriven.TestData) (err error) {
	if d.HasArg("memory") {
		h.db = OpenMemory()
		return nil
	}
	budget, _ := strconv.ParseInt(arg(d, "budget", "0"), 10, 64)
	db, err := Open("state", Options{FS: h.fs, Identity: arg(d, "identity", ""), Budget: budget, Memory: 1 << 20})
	if err == nil {
		h.db = db
		db.split, _ = strconv.Atoi(arg(d, "split", strconv.Itoa(splitBytes)))
	}
	return err
}

func (h *harness) closeDB() error {
	if h.db == nil {
		return nil
	}
	return h.db.Close()
}

// crash loses what is not synced.
func (h *harness) crash(*datadriven.TestData) error {
	fs := h.fs.CrashClone(vfs.CrashCloneCfg{})
	err := h.closeDB()
	h.fs = fs
	return err
}

func (h *harness) lease(d *datadriven.TestData) error {
	specs := []Spec{}
	for _, name := range strings.Split(arg(d, "stores", "s"), "+") {
		specs = append(specs, Spec{Name: name, Fingerprint: arg(d, "fingerprint", "v1"),
			Families: [2]FamilySpec{{Words: 2, Blobs: []int{1}}, {Words: 1}}})
	}
	l, err := h.db.Lease(arg(d, "task", "p.1/0/3"), specs)
	if err != nil {
		return err
	}
	h.leases[arg(d, "as", "l")] = l
	fmt.Fprintf(&h.out, "lease %d", l.Number())
	if pos, meta, ok := l.Loaded(); ok {
		for _, s := range specs {
			if p, ok := pos[s.Name]; ok {
				fmt.Fprintf(&h.out, ", %s at %d", s.Name, p.Offset)
			}
		}
		fmt.Fprintf(&h.out, ", meta %q", meta)
	}
	for _, err := range l.Rebuild() {
		fmt.Fprintf(&h.out, "\nrebuild: %v", err)
	}
	fmt.Fprintln(&h.out)
	return nil
}

func parsePane(s string) (Family, int64) {
	f := Panes
	if rest, ok := strings.CutPrefix(s, "sent:"); ok {
		f, s = Sent, rest
	}
	if s == "max" {
		return f, math.MaxInt64
	}
	end, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return f, end
}

// write: lines "key pane +N [text]"; the text replaces the one there.
func (h *harness) write(d *datadriven.TestData) error {
	tb := h.table(d)
	for _, line := range strings.Split(d.Input, "\n") {
		w := strings.Fields(line)
		slots := make([]Slot, 1)
		if err := tb.Resolve(w[:1], []int32{0}, slots); err != nil {
			return err
		}
		acc, _ := tb.Open(parsePane(w[1])).Write(slots[0])
		n, err := strconv.ParseInt(w[2], 10, 64)
		if err != nil {
			return err
		}
		acc[0] += uint64(n)
		if len(w) > 3 {
			acc[1] = tb.Put(acc[1], []byte(w[3]))
		}
	}
	return nil
}

func (h *harness) remove(d *datadriven.TestData) error {
	tb := h.table(d)
	for _, line := range strings.Split(d.Input, "\n") {
		w := strings.Fields(line)
		s, ok, err := tb.Find(w[0])
		if !ok || err != nil {
			return fmt.Errorf("%q is not there: %v", w[0], err)
		}
		tb.Pane(parsePane(w[1])).Remove(s)
	}
	return nil
}

func (h *harness) find(d *datadriven.TestData) error {
	_, ok, err := h.table(d).Find(bare(d))
	if err == nil {
		fmt.Fprintln(&h.out, ok)
	}
	return err
}

func (h *harness) expire(d *datadriven.TestData) error {
	h.table(d).Expire(parsePane(bare(d)))
	return nil
}

func (h *harness) restoreExpire(d *datadriven.TestData) error {
	h.table(d).RestoreExpire(parsePane(bare(d)))
	return nil
}

func (h *harness) changes(d *datadriven.TestData) error {
	return h.table(d).Changes(func(key, value []byte) error {
		if value == nil {
			fmt.Fprintf(&h.out, "%s nil\n", key)
		} else {
			fmt.Fprintf(&h.out, "%s %x\n", key, value)
		}
		return nil
	})
}

func (h *harness) commit(d *datadriven.TestData) error {
	pos := map[string]Position{}
	if d.HasArg("off") {
		off, err := strconv.ParseInt(arg(d, "off", ""), 10, 64)
		if err != nil {
			return err
		}
		for _, t := range h.l(d).Tables() {
			pos[t.spec.Name] = Position{TopicID: arg(d, "topic", ""), Offset: off}
		}
	}
	var meta []byte
	if d.HasArg("meta") {
		meta = []byte(arg(d, "meta", ""))
	}
	return h.l(d).Commit(pos, meta)
}

func (h *harness) restore(d *datadriven.TestData) error {
	for _, line := range strings.Split(d.Input, "\n") {
		key, hex, _ := strings.Cut(line, " ")
		var value []byte
		if hex == "empty" {
			value = []byte{}
		} else if hex != "nil" {
			if _, err := fmt.Sscanf(hex, "%x", &value); err != nil {
				return err
			}
		}
		if err := h.table(d).Restore([]byte(key), value); err != nil {
			return err
		}
	}
	return nil
}

func (h *harness) budget(d *datadriven.TestData) error {
	n, err := strconv.ParseInt(bare(d), 10, 64)
	h.table(d).SetBudget(n)
	return err
}

// dump prints what is in memory, and what it knows of the rest, without loading.
func (h *harness) dump(d *datadriven.TestData) error {
	tb := h.table(d)
	for f := range tb.fams {
		for _, p := range tb.fams[f].panes {
			fmt.Fprintf(&h.out, "%s:", paneName(p.fam.f, p.end))
			lines := []string{}
			p.eachActive(func(s Slot, e *uint64) {
				acc := p.acc(*e, s)
				line := fmt.Sprintf(" %s=%d", tb.Key(s), int64(acc[0]))
				if len(acc) > 1 && acc[1] != 0 {
					line += "/" + string(tb.Get(acc[1]))
				}
				lines = append(lines, line)
			})
			slices.Sort(lines)
			fmt.Fprint(&h.out, strings.Join(lines, ""))
			if p.evicted > 0 {
				fmt.Fprintf(&h.out, " and %d spilled", p.evicted)
			}
			fmt.Fprintln(&h.out)
		}
	}
	fmt.Fprintf(&h.out, "%d keys, %d spilled\n", tb.Len(), tb.spill.keys)
	if len(tb.log)+len(tb.doomed)+len(tb.fresh) == 0 {
		return tb.verify(false)
	}
	return nil
}

func paneName(f Family, end int64) string {
	name := strconv.FormatInt(end, 10)
	if end == math.MaxInt64 {
		name = "max"
	}
	if f == Sent {
		name = "sent:" + name
	}
	return name
}

// disk prints what Pebble holds.
func (h *harness) disk(*datadriven.TestData) error {
	return h.db.walk(nil, nil, func(k, v []byte) error {
		task, rest, _ := splitName(k[1:])
		switch k[0] {
		case kindTask:
			r, err := decodeTaskRecord(v)
			fmt.Fprintf(&h.out, "task  %s: lease %d, meta %q\n", task, r.number, r.meta)
			return err
		case kindStore:
			store, _, _ := splitName(rest)
			r, err := decodeStoreRecord(v)
			fmt.Fprintf(&h.out, "store %s %s: %s, %d keys, %d accumulators, ", task, store, r.fingerprint, r.keys, r.entries)
			if r.hasPos {
				fmt.Fprintf(&h.out, "at %d\n", r.pos.Offset)
			} else {
				fmt.Fprintln(&h.out, "no position")
			}
			return err
		default:
			store, rest, _ := splitName(rest)
			f, end, key, _ := splitPane(rest)
			fmt.Fprintf(&h.out, "data  %s %s %s %s: %x\n", task, store, paneName(f, end), key, v)
			return nil
		}
	})
}

func (h *harness) scan(d *datadriven.TestData) error {
	tb := h.table(d)
	lo, _ := strconv.ParseInt(arg(d, "lo", "-9"), 10, 64)
	_, hi := parsePane(arg(d, "hi", "max"))
	n, _ := strconv.Atoi(arg(d, "n", "100"))
	return tb.Scan(Panes, lo, hi, arg(d, "after", ""), func(key string, acc func(int64) []uint64) bool {
		fmt.Fprint(&h.out, key, ":")
		for _, end := range tb.Ends(Panes) {
			if a := acc(end); a != nil {
				fmt.Fprintf(&h.out, " %d=%d", end, int64(a[0]))
				if a[1] != 0 {
					fmt.Fprintf(&h.out, "/%s", tb.Get(a[1]))
				}
			}
		}
		fmt.Fprintln(&h.out)
		n--
		return n > 0
	})
}

func (h *harness) active(d *datadriven.TestData) error {
	lo, _ := strconv.ParseInt(arg(d, "lo", "-9"), 10, 64)
	_, hi := parsePane(arg(d, "hi", "max"))
	tb := h.table(d)
	for _, s := range tb.Active(Panes, lo, hi, nil) {
		fmt.Fprintln(&h.out, tb.Key(s))
	}
	return nil
}

func (h *harness) plant(d *datadriven.TestData) error {
	key, err := strconv.Unquote(`"` + arg(d, "key", "") + `"`)
	if err != nil {
		return err
	}
	if !d.HasArg("value") {
		return h.db.pdb.Delete([]byte(key), pebble.NoSync)
	}
	value, err := strconv.Unquote(`"` + arg(d, "value", "") + `"`)
	if err != nil {
		return err
	}
	return h.db.pdb.Set([]byte(key), []byte(value), pebble.NoSync)
}

func (h *harness) drop(d *datadriven.TestData) error {
	if d.HasArg("store") {
		return h.db.DropStore(arg(d, "task", "p.1/0/3"), arg(d, "store", ""))
	}
	return h.db.Drop(arg(d, "task", "p.1/0/3"))
}

func (h *harness) setAside(*datadriven.TestData) error { return setAside(h.fs, "state") }

var timeName = regexp.MustCompile(`corrupt-\d.*`)

func (h *harness) folder(*datadriven.TestData) error {
	names, err := h.fs.List("state")
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintln(&h.out, timeName.ReplaceAllString(n, "corrupt-<time>"))
	}
	return err
}
