package access

import "github.com/leatstream/leat/connectors/sse"

// Operate tells whether a viewer may see the operators' page: whom the config
// names, and nobody without. Letting all look at views does not mean the
// insides; the admin address shows it without asking.
func (g *Gate) Operate(v *sse.Viewer) bool { return admits(g.operators, v) }

var _ sse.Operator = (*Gate)(nil)
