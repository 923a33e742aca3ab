package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

func planCommand() *cobra.Command {
	var output string
	var in clusterFlags
	cmd := &cobra.Command{
		Use: "plan FILE…", Short: "Show what leat run would do on a cluster: keep, migrate, rebuild, orphan, create; changes nothing",
		Long: "Compares pipelines with a cluster and changes nothing: what becomes of each step that keeps\n" +
			"something, of its stores and topics; partition counts, co-partitioning of inputs that meet,\n" +
			"retention.\n\n" +
			"Exit code 5 where the broker cannot be reached or a source topic does not exist, 6 where\n" +
			"leat run would refuse to start, or would join keys that their writers put elsewhere.",
		Args: minimum(1, "a pipeline file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := known(output, "text", "json"); err != nil {
				return err
			}
			set, err := load(args, cmd.ErrOrStderr(), false)
			if err != nil {
				return err
			}
			broker, err := in.connect()
			if err != nil {
				return err
			}
			defer broker.Close()
			refused := false
			for _, p := range set.Pipelines {
				r, err := reviewOf(cmd.Context(), p, broker.Cluster())
				if err != nil {
					return err
				}
				if err := r.write(cmd.OutOrStdout(), output); err != nil {
					return fmt.Errorf("write plan: %w", err)
				}
				refused = refused || len(r.Refused) > 0
			}
			if refused {
				return coded{exitState, nil}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	in.add(cmd)
	return cmd
}

// review is what plan says of one pipeline.
type review struct {
	Pipeline   string             `json:"pipeline"`
	Generation int                `json:"generation"`
	Tasks      map[string]int     `json:"tasks,omitempty"` // by the first source of their sub-topology
	Steps      []stepReview       `json:"steps,omitempty"`
	Topics     []topicReview      `json:"topics"`
	Keys       []engine.KeyReview `json:"keys,omitempty"`
	Running    int                `json:"running,omitempty"` // members of the group that must stop first
	Warnings   []string           `json:"warnings,omitempty"`
	Refused    []string           `json:"refused,omitempty"`
}

// stepReview is what becomes of a step: the worst of what becomes of its parts.
type stepReview struct {
	Step    string          `json:"step"`
	Becomes string          `json:"becomes"`
	Parts   []engine.Change `json:"parts"`
}

type topicReview struct {
	Topic      string            `json:"topic"`
	Kind       string            `json:"kind"`
	Becomes    string            `json:"becomes"` // create, keep, migrate, rebuild, orphan, read
	Partitions int               `json:"partitions"`
	Settings   map[string]string `json:"settings,omitempty"` // of those to be created
}

// reviewOf asks the cluster about one pipeline.
func reviewOf(ctx context.Context, p *pipelines.Pipeline, c engine.Cluster) (*review, error) {
	force, err := engine.PlanInForce(ctx, p.Name.Text, c)
	if err != nil {
		return nil, err
	}
	generation := 1
	if force != nil {
		generation = force.Generation
	}
	e, topo, err := pipelines.ExplainAs(p, generation)
	if err != nil {
		return nil, coded{exitInvalid, err}
	}
	found, err := engine.MakeReview(ctx, topo, c)
	if err != nil {
		return nil, err
	}
	r := &review{Pipeline: topo.Pipeline, Generation: topo.Generation, Steps: stepsOf(found.Changes), Keys: found.Keys, Running: found.Running, Refused: found.Refused}
	becomes := map[string]string{} // topics of parts
	for _, ch := range found.Changes {
		if t := topo.PartTopic(ch.Part); t != "" {
			becomes[string(t)] = ch.Becomes
		}
	}
	create := map[engine.Topic]engine.TopicSpec{topo.MetaTopic(): {Partitions: 1, Configs: engine.ChangelogConfigs()}}
	if found.Plan != nil {
		r.Tasks = found.Plan.Tasks
		for _, s := range found.Plan.Missing() {
			create[s.Topic] = s
		}
	}
	for _, t := range e.Topics {
		info, spec := found.Infos[engine.Topic(t.Topic)], create[engine.Topic(t.Topic)]
		one := topicReview{Topic: t.Topic, Kind: t.Kind, Becomes: engine.Keep, Partitions: info.Partitions}
		switch {
		case t.Kind == "source":
			one.Becomes = "read"
		case !info.Exists && found.Plan == nil:
			continue // what is refused has no counts
		case !info.Exists:
			one.Becomes, one.Partitions, one.Settings = engine.Create, spec.Partitions, spec.Configs
		case becomes[t.Topic] == engine.Rebuild || becomes[t.Topic] == engine.Migrate:
			one.Becomes = becomes[t.Topic]
		}
		r.Topics = append(r.Topics, one)
		if info.Exists {
			r.Warnings = append(r.Warnings, trouble(t, info.Configs)...)
		}
	}
	return r, r.orphans(ctx, found.Changes, topo, c)
}

// orphans adds the topics that belong to no step any more.
func (r *review) orphans(ctx context.Context, changes []engine.Change, topo *engine.Topology, c engine.Cluster) error {
	for _, ch := range changes {
		topic := topo.PartTopic(ch.Part)
		if ch.Becomes != engine.Orphan || topic == "" {
			continue
		}
		infos, err := c.Topics(ctx, topic)
		if err != nil {
			return err
		}
		kind, _, _ := strings.Cut(ch.Part, " ")
		if kind == "store" {
			kind = "changelog"
		}
		if info := infos[topic]; info.Exists {
			r.Topics = append(r.Topics, topicReview{Topic: string(topic), Kind: kind, Becomes: ch.Becomes, Partitions: info.Partitions})
		}
	}
	return nil
}

// stepsOf groups what becomes of parts by their steps.
func stepsOf(changes []engine.Change) []stepReview {
	var out []stepReview
	rank := func(becomes string) int {
		return slices.Index([]string{engine.Orphan, engine.Create, engine.Keep, engine.Migrate, engine.Rebuild}, becomes)
	}
	for _, ch := range changes {
		name := ch.Step
		if ch.Name != "" {
			name = ch.Name + " (was " + ch.Step + ")"
		}
		i := slices.IndexFunc(out, func(s stepReview) bool { return s.Step == name })
		if i < 0 {
			i, out = len(out), append(out, stepReview{Step: name, Becomes: ch.Becomes})
		}
		if rank(ch.Becomes) > rank(out[i].Becomes) {
			out[i].Becomes = ch.Becomes
		}
		out[i].Parts = append(out[i].Parts, ch)
	}
	slices.SortFunc(out, func(a, b stepReview) int { return strings.Compare(a.Step, b.Step) })
	return out
}

// trouble is what the settings of a sink's topic would do to its results.
func trouble(t pipelines.TopicInfo, configs map[string]string) []string {
	var out []string
	policy := configs["cleanup.policy"]
	if t.OneWindow && strings.Contains(policy, "compact") {
		out = append(out, fmt.Sprintf("%s is compacted and the record key lacks the window: of each key it keeps the newest window only", t.Topic))
	}
	ms, err := strconv.ParseInt(configs["retention.ms"], 10, 64)
	if retention := time.Duration(ms) * time.Millisecond; err == nil && ms > 0 && strings.Contains(policy, "delete") && configs["message.timestamp.type"] != "LogAppendTime" && t.Age >= retention {
		out = append(out, fmt.Sprintf("%s keeps records for %s, and results may be %s old when they are written: they would be deleted at once", t.Topic, span(retention), span(t.Age)))
	}
	return out
}

// span writes a duration without the units that are nought: 1h, not 1h0m0s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (r *review) write(w io.Writer, output string) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(r)
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("pipeline %s, generation %d", r.Pipeline, r.Generation)
	tasks := make([]string, 0, len(r.Tasks))
	for name, n := range r.Tasks {
		tasks = append(tasks, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(tasks)
	if len(tasks) > 0 {
		line("  tasks      %s", strings.Join(tasks, ", "))
	}
	for _, s := range r.Steps {
		line("  %-10s step %s", s.Becomes, s.Step)
		for _, ch := range s.Parts {
			about := strings.HasPrefix(ch.Part, "rows ") // what a store is of, with no bytes of its own
			if about && ch.Becomes != engine.Rebuild {
				continue
			}
			text := ch.Part
			if about {
				text = "input and key"
			}
			if ch.Why != "" {
				text += ": " + ch.Why
			}
			line("    %-8s %s", ch.Becomes, text)
			if ch.Was != "" {
				line("             was %s\n             is  %s", oneLine(ch.Was), oneLine(ch.Is))
			}
		}
	}
	for _, t := range r.Topics {
		count := fmt.Sprintf("%d partitions", t.Partitions)
		if t.Partitions == 1 {
			count = "1 partition"
		}
		line("  %-10s topic %s (%s), %s", t.Becomes, t.Topic, t.Kind, count)
	}
	for _, k := range r.Keys {
		family := k.Family
		if family == "" {
			family = "unknown"
		}
		if k.Samples == 0 {
			line("  %-10s %s: no keys to tell their partitioner by", "keys", k.Topic)
			continue
		}
		line("  %-10s %s: partitioner %s by %d keys, %.0f%% of them elsewhere", "keys", k.Topic, family, k.Samples, 100*k.Wrong)
	}
	if r.Running > 0 {
		line("  %-10s stop those who run the plan in force: its group has %d members, and must have none when leat run takes this one", "first", r.Running)
	}
	for _, s := range r.Warnings {
		line("  %-10s %s", "warning", s)
	}
	for _, s := range r.Refused {
		line("  %-10s %s", "refused", s)
	}
	if len(r.Refused) == 0 {
		line("  leat run would start")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// oneLine puts lines behind each other.
func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }
