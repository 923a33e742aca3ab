package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/leatstream/leat/connectors/outbox"
	"github.com/leatstream/leat/connectors/webhook"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// addSenders makes the senders of a pipeline's alerts. A run that ends by
// itself has none: what it decides waits for one that goes on.
func (p *process) addSenders(pl *pipelines.Pipeline, plan *engine.Plan, m *engine.Metrics) error {
	for _, o := range pl.Outboxes() {
		if p.flags.untilEnd {
			p.log.Warn("alerts wait in their outbox: --until-end sends none", "pipeline", o.Pipeline, "sink", o.Sink, "topic", string(o.Topic))
			continue
		}
		deliver, err := p.deliverer(o)
		if err != nil {
			return coded{exitInvalid, fmt.Errorf("sink %s of %s: %w", o.Sink, o.Pipeline, err)}
		}
		if deliver == nil {
			continue
		}
		s, err := outbox.New(outbox.Config{
			Pipeline: o.Pipeline, Sink: o.Sink, Topic: o.Topic, Deliver: deliver, Retry: o.Retry, Errors: o.Errors,
			DeadPartitions: plan.Partitions[o.Errors.Topic], Metrics: m, Log: p.log,
		})
		if err != nil {
			return err
		}
		p.senders = append(p.senders, s)
	}
	return nil
}

// deliverer is who sends the notes of an outbox; nil: nobody can.
func (p *process) deliverer(o pipelines.Outbox) (outbox.Deliver, error) {
	if p.posts == nil {
		var err error
		if p.posts, err = webhook.NewClient(p.config.Alerts.Client); err != nil {
			return nil, err
		}
	}
	if o.Kind == "webhook" {
		return webhook.New(webhook.Config{URL: o.URL, Headers: o.Headers, Secrets: o.Secrets, Client: p.posts})
	}
	if p.push == nil {
		var err error
		if p.push, err = newPush(p.config.Alerts, p.posts, p.broker.Cluster(), p.log); err != nil {
			return nil, err
		}
	}
	if p.push != nil {
		p.push.keep(o.Pipeline, append(p.push.of(o.Pipeline), o.Sink))
		return p.push.pusher.Deliver(o.Pipeline, o.Sink), nil
	}
	p.log.Warn("alerts wait in their outbox: web push needs alerts.push in leat.yaml (leat vapid makes its key)", "pipeline", o.Pipeline, "sink", o.Sink, "topic", string(o.Topic))
	return nil, nil
}

// sendAlerts runs all senders until ctx ends and they have drained.
func (p *process) sendAlerts(ctx context.Context) {
	var wg sync.WaitGroup
	if p.push != nil {
		wg.Go(func() { p.push.store.Run(ctx) })
	}
	for _, s := range p.senders {
		wg.Go(func() { s.Run(ctx, p.broker) })
	}
	wg.Wait()
}
