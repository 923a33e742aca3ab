package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/connectors/webhook"
	"github.com/leatstream/leat/connectors/webpush"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// TestServeAPI serves the whole HTTP API for clients that try it
// (bench/clients/schemathesis.sh), for ten minutes: signing in with the token
// "test", web push, the operators' part, and two views, whose streams live for a
// fraction of a second, so that each answer ends.
//
//	API=localhost:8098 go test -run TestServeAPI -timeout 0 ./cmd/leat
func TestServeAPI(t *testing.T) {
	addr := os.Getenv("API")
	if addr == "" {
		t.Skip("API is not set: nobody wants to ask")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cluster := startCluster(t, map[string]int{string(apiViews[0].Topic): apiViews[0].Tasks, string(apiViews[1].Topic): apiViews[1].Tasks})
	var err error

	cfg := pipelines.Config{Serve: pipelines.Serve{Access: access.Config{
		Auth:   tokenAuth(),
		Limits: access.Limits{Requests: -1, Streams: -1, AddressRequests: -1, AddressStreams: -1},
	}}}
	cfg.Serve.Access.Auth.Operators = []string{"ann"}
	if cfg.Alerts.Push.PrivateKey, err = webpush.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	cfg.Alerts.Push.Subject = "mailto:ops@example.org"
	own := &opsFleet{node: "api", mine: (&ops{node: "api", role: "serve"}).mine, log: quiet, others: map[string]heardRecord{}}
	hub, gate, err := newHub(cfg, engine.NewMetrics(), quiet, func(o *sse.Options) {
		o.Node, o.Ops, o.MinLife, o.MaxLife = "api", own.status, 20*time.Millisecond, 40*time.Millisecond
	})
	if err != nil {
		t.Fatal(err)
	}
	posts, err := webhook.NewClient(cfg.Alerts.Client)
	if err != nil {
		t.Fatal(err)
	}
	push, err := newPush(cfg.Alerts, posts, cluster, quiet)
	if err != nil {
		t.Fatal(err)
	}
	push.keep("orders", []string{"phones"})
	push.serve(hub, gate)
	hub.AddAlerts("orders", "Orders", push.of("orders"))
	for _, v := range apiViews {
		hub.Add(v, nil, "Orders")
	}
	if err := trade(ctx, cluster); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Addr: addr, Handler: hub.Handler(), ReadHeaderTimeout: time.Second}
	ended := make(chan struct{})
	go func() { push.store.Run(ctx) }()
	go func() { _ = hub.Run(ctx, cluster); close(ended) }()
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		t.Error(err)
	}
	cancel()
	<-ended
}

var apiViews = []engine.ViewSpec{
	{Name: "orders/minutes", Pipeline: "orders", Sink: "minutes", Topic: "orders.minutes.view", Tasks: 2, Generation: 1, Windowed: true, Replay: time.Hour,
		KeyColumns: []string{"country", "window_start", "window_end"},
		Columns:    []engine.ViewColumn{{Name: "country", Type: "string"}, {Name: "n", Type: "int"}, {Name: "window_start", Type: "timestamp"}, {Name: "window_end", Type: "timestamp"}}},
	{Name: "orders/products", Pipeline: "orders", Sink: "products", Topic: "orders.products.view", Tasks: 1, Generation: 1, Replay: time.Hour,
		KeyColumns: []string{"product"}, Columns: []engine.ViewColumn{{Name: "product", Type: "string"}, {Name: "n", Type: "int"}}},
}

// trade writes a few rows and the marks of the tasks.
func trade(ctx context.Context, c *kafka.Cluster) error {
	now := time.Now().UnixMilli()
	var records []engine.Record
	for i, country := range []string{"DE", "FR", "Ünïcødé \\u0000 \\\"x\\\"", ""} {
		for n := range int64(10) {
			end := (now/60_000 - n) * 60_000
			records = append(records, engine.Record{Topic: apiViews[0].Topic, Partition: engine.Partition(i % 2), Key: fmt.Appendf(nil, `{"country":"%s","window_end":%d}`, country, end),
				Value: fmt.Appendf(nil, `{"country":"%s","n":%d,"window_start":%d,"window_end":%d}`, country, n, end-60_000, end)})
		}
		records = append(records, engine.Record{Topic: apiViews[1].Topic, Key: fmt.Appendf(nil, `"%s"`, country), Value: fmt.Appendf(nil, `{"product":"%s","n":"90071992547409930%d"}`, country, i)})
	}
	for _, v := range apiViews {
		for task := range v.Tasks {
			records = append(records, engine.Record{Topic: v.Topic, Partition: engine.Partition(task), Key: fmt.Appendf(nil, "\x00mark/%d", task), Value: fmt.Appendf(nil, `{"watermark":%d,"at":%d}`, now, now)})
		}
	}
	return c.Produce(ctx, records)
}
