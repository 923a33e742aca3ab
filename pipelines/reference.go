package pipelines

import (
	"fmt"
	"strings"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// writeRooms writes what the rooms below know by name: windows, aggregates,
// formats and envelopes, each from its own table.
func writeRooms(b *strings.Builder) {
	b.WriteString("\n## Windows, in full\n")
	for _, k := range window.Kinds() {
		name := "`" + k.Name + "`"
		if k.Name == "" {
			name = "no window"
		}
		bounds := "the end is not in the window"
		if k.Inclusive() {
			bounds = "both ends are in the window"
		}
		if k.Name == "" || k.Name == "count" || k.Name == "same" {
			bounds = ""
		}
		fmt.Fprintf(b, "\n**%s**: %s", name, k.Doc)
		if bounds != "" {
			fmt.Fprintf(b, " (%s)", bounds)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## Aggregates\n\n*Order*: the result depends on the order in which rows arrive. *Table*: it can take rows back, so it may stand over a table.\n\n" +
		"| aggregate | order | table | meaning |\n|---|---|---|---|\n")
	mark := func(yes bool) string {
		if yes {
			return "yes"
		}
		return ""
	}
	for _, k := range aggregate.Kinds() {
		doc := k.Doc
		for _, p := range k.Params {
			doc += fmt.Sprintf(" `%s`: %s", p.Name, p.Doc)
			if p.Optional {
				doc += " (optional)"
			}
			doc = strings.TrimSuffix(doc, ".") + "."
		}
		fmt.Fprintf(b, "| `%s(%s)` | %s | %s | %s |\n", k.Name, k.Args, mark(!k.OrderFree), mark(k.Subtracts), strings.ReplaceAll(doc, "|", `\|`))
	}
	b.WriteString("\n## Formats and envelopes\n\n")
	for _, k := range codec.Kinds {
		fmt.Fprintf(b, "- `format: %s`: %s\n", k.Name, k.Doc)
	}
	for _, e := range codec.Envelopes {
		var meta []string
		for _, f := range e.Meta {
			meta = append(meta, fmt.Sprintf("`%s` (%s)", f.Name, f.Type))
		}
		fmt.Fprintf(b, "- `envelope: %s`: %s; further columns that a schema may name: %s\n", e.Name, e.Doc, strings.Join(meta, ", "))
	}
}
