package pipelines

import (
	"fmt"
	"slices"
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

// topicID is a name for what rows go through, as Mermaid and Graphviz take it.
func topicID(topic string) string {
	id := []byte("t_")
	for _, c := range []byte(topic) {
		switch {
		case c == '-':
			id = append(id, "_d"...)
		case c == '_':
			id = append(id, "__"...)
		case c == '.':
			id = append(id, "_o"...)
		case c == ' ':
			id = append(id, "_s"...)
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			id = append(id, c)
		default:
			id = fmt.Appendf(id, "_x%02x", c)
		}
	}
	return string(id)
}

// drawn are the topics of the graph, those that rows go through, and the files.
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
				if !slices.Contains(out, t) {
					out = append(out, t)
				}
			}
		}
	}
	return out
}

// picture is how a language of pictures writes the parts of a graph. Texts of
// topics and steps come with their ids; sub-topologies are boxes around steps.
type picture struct {
	topic, open, step, shut, link string
}

// draw writes the graph: topics, the boxes of steps, and what leads where.
func (e *Explanation) draw(p picture) string {
	var b, links strings.Builder
	for _, t := range e.drawn() {
		fmt.Fprintf(&b, p.topic, topicID(t), t)
	}
	open := -1
	e.edges(func(sub int, id, label string) {
		if sub != open {
			if open >= 0 {
				b.WriteString(p.shut)
			}
			fmt.Fprintf(&b, p.open, sub)
			open = sub
		}
		fmt.Fprintf(&b, p.step, id, label)
	}, func(from, to string) { fmt.Fprintf(&links, p.link, from, to) })
	if open >= 0 {
		b.WriteString(p.shut)
	}
	return b.String() + links.String()
}

// Mermaid is the topology as a flowchart for Markdown.
func (e *Explanation) Mermaid() string {
	return "flowchart LR\n" + e.draw(picture{
		topic: "  %s[(\"%s\")]\n", open: "  subgraph sub%[1]d[\"sub-topology %[1]d\"]\n", step: "    %s[\"%s\"]\n", shut: "  end\n", link: "  %s --> %s\n",
	})
}

// Dot is the topology for Graphviz.
func (e *Explanation) Dot() string {
	return fmt.Sprintf("digraph %q {\n  rankdir=LR; node [shape=box, fontname=\"sans-serif\"];\n", e.Pipeline) + e.draw(picture{
		topic: "  %s [label=%q, shape=cylinder];\n", open: "  subgraph cluster_%[1]d {\n    label=\"sub-topology %[1]d\";\n", step: "    %s [label=%q];\n", shut: "  }\n", link: "  %s -> %s;\n",
	}) + "}\n"
}

// Graph is the topology for programs that draw it.
type Graph struct {
	Nodes []GraphNode `json:"nodes"`
	Edges []GraphEdge `json:"edges"`
}

// GraphNode is a topic, or a step between topics. The kind of a topic ends in
// "topic" ("source topic", "view topic"); "output" is a file or standard output,
// "read" where a sub-topology takes rows in; all others are the types of steps.
type GraphNode struct {
	ID    string `json:"id"` // letters, digits and _
	Kind  string `json:"kind"`
	Name  string `json:"name"`            // the topic, the source or the transform
	Label string `json:"label"`           // what stands in the picture
	Group *int   `json:"group,omitempty"` // the sub-topology of a step
}

// GraphEdge leads rows from one node to another, by their ids.
type GraphEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Graph is the topology as nodes and edges, topics first.
func (e *Explanation) Graph() Graph {
	g := Graph{Nodes: []GraphNode{}, Edges: []GraphEdge{}}
	kinds := map[string]string{}
	for _, t := range e.Topics {
		kinds[t.Topic] = t.Kind + " topic"
	}
	for _, name := range e.drawn() {
		kind := kinds[name]
		if kind == "" {
			kind = "output"
		}
		g.Nodes = append(g.Nodes, GraphNode{ID: topicID(name), Kind: kind, Name: name, Label: name})
	}
	e.edges(func(sub int, id, label string) {
		kind, name, ok := strings.Cut(label, " ")
		if !ok {
			name = label
		}
		g.Nodes = append(g.Nodes, GraphNode{ID: id, Kind: kind, Name: name, Label: label, Group: &sub})
	}, func(from, to string) { g.Edges = append(g.Edges, GraphEdge{from, to}) })
	return g
}
