package sse

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pen is a transport that counts.
type pen struct {
	*tape
	writes []string
}

func (p *pen) write(b *block) bool { return p.writeAll([]*block{b}) }

func (p *pen) writeAll(bs []*block) bool {
	var kinds []string
	for _, b := range bs {
		kinds = append(kinds, b.kind())
		p.tape.write(b)
	}
	p.writes = append(p.writes, strings.Join(kinds, "+"))
	return true
}

// What a client gets at an instant it gets in one write: the first frame with
// its greeting, a mark with the frame of its second.
func TestOneWriteForEachBeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, live, nil)
		p, done := &pen{tape: newTape()}, make(chan struct{})
		pass(100 * time.Millisecond)
		go func() {
			defer close(done)
			w.hub.stream(r, w.hub.view("orders/board"), filter{}, p)
		}()
		pass(time.Millisecond)
		for i := range 8 {
			topic.put(0, "a", fmt.Sprintf(`{"n":%d}`, i))
			pass(250 * time.Millisecond)
		}
		cancel()
		<-done
		for i := range p.writes { // who watches is told when it is known
			p.writes[i] = strings.Replace(p.writes[i], "+presence", "", 1)
		}
		got, second := strings.Join(p.writes, " "), "delta delta delta delta+mark+"
		if want := " hello+snapshot+ready " + second + " " + second; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// A snapshot of many blocks is written block by block, each with its time.
func TestBigFramesAreManyWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		for i := range 41 {
			topic.put(0, fmt.Sprint("k", i), fmt.Sprintf(`{"pad":"%08000d"}`, i))
		}
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		v, p := w.hub.view("orders/board"), &pen{tape: newTape()}
		c := &conn{hub: w.hub, view: v, ctx: t.Context(), out: p, group: v.join(filter{})}
		defer v.leave(c.group)
		c.start("")
		if got, want := strings.Join(p.writes, " "), "hello+snapshot snapshot snapshot snapshot snapshot snapshot+ready"; got != want || len(p.table()) != 41 {
			t.Errorf("%q with %d rows, want %q with 41", got, len(p.table()), want)
		}
	})
}
