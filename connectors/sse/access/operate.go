package access

import "github.com/leatstream/leat/connectors/sse"

// Operate tells whether a viewer may see the operators' page.
func (g *Gate) Operate(v *sse.Viewer) bool { return admits(g.operators, v) }

var _ sse.Operator = (*Gate)(nil)
