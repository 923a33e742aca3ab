package pipelines

import (
	"fmt"
	"strings"
)

// edges walks the graph of an explanation: topics, and the nodes between them.
func (e *Explanation) edges(node func(sub int, id, label string), edge func(from, to string)) {
	for _, sub := range e.Subs {
		ids := map[string]string{}
		for i, s := range sub.Sources {
			id := fmt.Sprintf("s%d_in%d", sub.ID, i)
			ids[s.Name] = id
			node(sub.ID, id, "read "+s.Name)
			for _, t := range s.Topics {
				edge(topicID(t), id)
			}
		}
		for i, n := range sub.Nodes {
			id := fmt.Sprintf("s%d_n%d", sub.ID, i)
			ids[n.Name] = id
			label := n.Kind + " " + n.Name
			if n.Kind == "repartition" {
				label = n.Kind
			}
			node(sub.ID, id, label)
			for _, in := range n.Inputs {
				edge(ids[in], id)
			}
			for _, t := range n.Writes {
				edge(id, topicID(t))
			}
		}
	}
}

func topicID(topic string) string {
	return "t_" + strings.NewReplacer("-", "_d", "_", "__", ".", "_o", " ", "_s").Replace(topic)
}

// drawn are the topics of the graph: those that rows go through.
func (e *Explanation) drawn() []string {
	var out []string
	for _, t := range e.Topics {
		switch t.Kind {
		case "changelog", "plan", "dead letters":
		default:
			out = append(out, t.Topic)
		}
	}
	for _, sub := range e.Subs {
		for _, n := range sub.Nodes {
			for _, t := range n.Writes {
				if t == "standard output" && (len(out) == 0 || out[len(out)-1] != t) {
					out = append(out, t)
				}
			}
		}
	}
	return out
}

// Mermaid is the topology as a flowchart for Markdown.
func (e *Explanation) Mermaid() string {
	var b, links strings.Builder
	b.WriteString("flowchart LR\n")
	for _, t := range e.drawn() {
		fmt.Fprintf(&b, "  %s[(\"%s\")]\n", topicID(t), t)
	}
	open := -1
	e.edges(func(sub int, id, label string) {
		if sub != open {
			if open >= 0 {
				b.WriteString("  end\n")
			}
			fmt.Fprintf(&b, "  subgraph sub%d[\"sub-topology %d\"]\n", sub, sub)
			open = sub
		}
		fmt.Fprintf(&b, "    %s[\"%s\"]\n", id, label)
	}, func(from, to string) { fmt.Fprintf(&links, "  %s --> %s\n", from, to) })
	if open >= 0 {
		b.WriteString("  end\n")
	}
	return b.String() + links.String()
}

// Dot is the topology for Graphviz.
func (e *Explanation) Dot() string {
	var b, links strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR; node [shape=box, fontname=\"sans-serif\"];\n", e.Pipeline)
	for _, t := range e.drawn() {
		fmt.Fprintf(&b, "  %s [label=%q, shape=cylinder];\n", topicID(t), t)
	}
	open := -1
	e.edges(func(sub int, id, label string) {
		if sub != open {
			if open >= 0 {
				b.WriteString("  }\n")
			}
			fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=\"sub-topology %d\";\n", sub, sub)
			open = sub
		}
		fmt.Fprintf(&b, "    %s [label=%q];\n", id, label)
	}, func(from, to string) { fmt.Fprintf(&links, "  %s -> %s;\n", from, to) })
	if open >= 0 {
		b.WriteString("  }\n")
	}
	return b.String() + links.String() + "}\n"
}
