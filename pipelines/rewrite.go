package pipelines

// Edit is one change of a file.
type Edit struct {
	File string
}

func (r *runner) number(*node, int)                                                {}
func (r *runner) rewriteRow(*stream, wanted, Result)                               {}
func (r *runner) rewriteRows(*Expectation, *stream, []wanted, []Result, alignment) {}
