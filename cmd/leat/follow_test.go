package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// board is a hub that only notes what it is told.
type board struct{ views map[string]string }

func (b board) Add(v engine.ViewSpec, dashboard []byte, title string) {
	b.views[v.Name] = fmt.Sprintf("%s %q %d columns, generation %d", v.Topic, title, len(v.Columns), v.Generation)
}
func (b board) Remove(name string) { delete(b.views, name) }
func (b board) Alerts(pipeline, title string, sinks []string) {
	if delete(b.views, pipeline); len(sinks) > 0 {
		b.views[pipeline] = fmt.Sprintf("%q pushes %v", title, sinks)
	}
}

// A serving node learns which views there are from the plans, while they
// change, and believes of each only what is its own.
func TestFollowPlans(t *testing.T) {
	_, broker := startBroker(t, nil)
	ctx, c := context.Background(), broker.Cluster()
	shown := board{map[string]string{}}
	follow := func(only ...string) *follower {
		return &follower{cluster: c, hub: shown, check: func(engine.ViewSpec) error { return errors.New("noted only") }, only: only,
			log: slog.New(slog.DiscardHandler), seen: map[engine.Topic]metaSeen{}}
	}
	all, one := follow(), follow("orders")
	look := func(f *follower, missing string, views ...string) {
		t.Helper()
		if err := f.look(ctx); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(f.lacks(), "; "); got != missing {
			t.Errorf("missing: %q, want %q", got, missing)
		}
		var got []string
		for name, v := range shown.views {
			got = append(got, name+": "+v)
		}
		slices.Sort(got)
		if !slices.Equal(got, views) {
			t.Errorf("shown: %q, want %q", got, views)
		}
	}
	topic := func(name string, partitions int) {
		t.Helper()
		if _, err := c.CreateTopics(ctx, []engine.TopicSpec{{Topic: engine.Topic(name), Partitions: partitions, Configs: engine.ChangelogConfigs()}}); err != nil {
			t.Fatal(err)
		}
	}
	plan := func(pipeline string, generation int, title string, views ...engine.ViewSpec) {
		t.Helper()
		value, err := json.Marshal(engine.Plan{Version: 1, Generation: generation, Views: views, Dashboard: json.RawMessage(`{"title":"` + title + `"}`)})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Produce(ctx, []engine.Record{{Topic: engine.Topic(pipeline + ".meta"), Key: []byte("plan"), Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	view := func(pipeline, sink string, generation int) engine.ViewSpec {
		return engine.ViewSpec{Name: pipeline + "/" + sink, Pipeline: pipeline, Sink: sink, Topic: engine.Topic(pipeline + "." + sink + ".view"), Generation: generation,
			Columns: []engine.ViewColumn{{Name: "n", Type: "int"}}}
	}

	look(all, "no pipeline has run on this cluster yet")
	look(one, "orders: no plan: leat run has not started it here")

	// Somebody else's topics of such a name, and a pipeline without a plan yet.
	topic("warehouse.meta", 3)
	topic("orders.meta", 1)
	look(all, "")
	look(one, "orders: its plan was not read yet")

	plan("orders", 1, "Orders", view("orders", "board", 1), view("orders", "late", 1))
	look(one, "", `orders/board: orders.board.view "Orders" 1 columns, generation 1`, `orders/late: orders.late.view "Orders" 1 columns, generation 1`)

	// A new plan: another generation, a view less, another title.
	plan("orders", 2, "All orders", view("orders", "board", 2))
	look(one, "", `orders/board: orders.board.view "All orders" 1 columns, generation 2`)

	// A plan that names what is another's: a view, and a topic.
	topic("evil.meta", 1)
	foreign, secret := view("orders", "board", 9), view("evil", "board", 9)
	secret.Topic = "salaries"
	plan("evil", 9, "Evil", foreign, secret, view("evil", "own", 9))
	look(all, "", `evil/own: evil.own.view "Evil" 1 columns, generation 9`, `orders/board: orders.board.view "All orders" 1 columns, generation 2`)

	// A pipeline of alerts alone has a page, until it has none.
	topic("pager.meta", 1)
	alerts := func(sinks ...string) {
		t.Helper()
		value, err := json.Marshal(engine.Plan{Version: 1, Generation: 1, Alerts: sinks})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Produce(ctx, []engine.Record{{Topic: "pager.meta", Key: []byte("plan"), Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	pager := follow("pager")
	clear(shown.views)
	alerts("phones", "wall")
	look(pager, "", `pager: "pager" pushes [phones wall]`)
	alerts()
	look(pager, "")
}
