package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/connectors/webhook"
	"github.com/leatstream/leat/connectors/webpush"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

// push is web push in this process: who is subscribed, and who pushes.
type push struct {
	store  *webpush.Store
	pusher *webpush.Pusher
	gate   *access.Gate // set before anything is served

	mu    sync.Mutex
	sinks map[string][]string // by pipeline
}

// newPush makes web push where leat.yaml has a key for it; nil: it has not.
// Which sinks push it is told by keep.
func newPush(cfg pipelines.Alerts, client *webhook.Client, cluster engine.Cluster, log *slog.Logger) (*push, error) {
	if cfg.Push.PrivateKey == "" {
		return nil, nil
	}
	keys, err := webpush.ParseKey(cfg.Push.PrivateKey)
	if err != nil {
		return nil, coded{exitInvalid, fmt.Errorf("alerts.push.private_key: %w", err)}
	}
	p := &push{store: webpush.NewStore(cluster, log), sinks: map[string][]string{}}
	o := webpush.Options{Keys: keys, Subject: cfg.Push.Subject, Client: client, Store: p.store, Log: log, May: p.may, Name: viewerName, Sinks: p.of}
	if p.pusher, err = webpush.New(o); err != nil {
		return nil, coded{exitInvalid, err}
	}
	return p, nil
}

// keep notes which sinks of a pipeline push.
func (p *push) keep(pipeline string, sinks []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sinks[pipeline] = sinks
}

// of are the sinks of a pipeline that push.
func (p *push) of(pipeline string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sinks[pipeline]
}

// serve answers the dashboard through a hub.
func (p *push) serve(hub *sse.Hub, gate *access.Gate) {
	p.gate = gate
	for pattern, h := range p.pusher.Routes() {
		hub.Handle(pattern, h)
	}
}

// may tells whether who asks may have the alerts of a sink: whoever may read a
// view of that name, whole, as an alert has no rows to leave out.
func (p *push) may(r *http.Request, pipeline, sink string) bool {
	if sink == "" {
		sink = "*" // all: a rule must match whatever comes
	}
	rows, ok := p.gate.View(sse.ViewerOf(r.Context()), pipeline+"/"+sink)
	return ok && rows == ""
}

func viewerName(r *http.Request) string {
	if v := sse.ViewerOf(r.Context()); v != nil {
		return v.Name
	}
	return ""
}

func vapidCommand() *cobra.Command {
	return &cobra.Command{
		Use: "vapid", Short: "Make a key for web push",
		Long: "Prints a private key for alerts.push.private_key of leat.yaml: keep it as a secret, the same on each\n" +
			"node and for good, as subscriptions of browsers are bound to it. The public key, which dashboards\n" +
			"are given by themselves, goes to standard error.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			private, err := webpush.GenerateKey()
			if err != nil {
				return err
			}
			keys, err := webpush.ParseKey(private)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), private)
			fmt.Fprintln(cmd.ErrOrStderr(), "public key:", keys.Public())
			return nil
		},
	}
}
