package window

import (
	"fmt"
	"strings"
)

// Spec is a window as a pipeline writes it. All spans are milliseconds.
type Spec struct {
	// Kind is the window's type: a name of Kinds, or "" for no window, where a
	// key has one result over all its rows so far.
	Kind string
	// Size is the length of a window.
	Size int64
	// Advance is the distance from the start of a window to the start of the
	// next (hopping only).
	Advance int64
	// Offset moves all starts: 1h with windows of a day starts them at 01:00 UTC.
	Offset int64
	// Grace is how long after its end a window still takes rows. Default 0:
	// out-of-orderness is the watermark's business.
	Grace int64
}

// maxSpan bounds sizes so that sums of a few of them fit: 35,000 years.
const maxSpan = 1 << 50

// Check tells what is wrong with the spec, for the person who wrote it.
func (s Spec) Check() error {
	k, ok := Lookup(s.Kind)
	if !ok {
		return s.unknown()
	}
	for _, span := range []struct {
		name string
		ms   int64
	}{{"size", s.Size}, {"advance", s.Advance}, {"offset", s.Offset}, {"grace", s.Grace}} {
		if span.ms < 0 {
			return fmt.Errorf("%s must not be negative, it is %s", span.name, Format(span.ms))
		}
		if span.ms > maxSpan {
			return fmt.Errorf("%s is too long: %s is more than 35000 years", span.name, Format(span.ms))
		}
	}
	return k.check(s)
}

// unknown explains a window type that is not in the table.
func (s Spec) unknown() error {
	if s.Kind == "sliding" && s.Advance != 0 {
		return fmt.Errorf("a sliding window has no advance: windows of one size at every advance are type hopping")
	}
	var names []string
	for _, k := range Kinds() {
		if k.Name != "" {
			names = append(names, k.Name)
		}
	}
	return fmt.Errorf("unknown window type %q, known: %s", s.Kind, strings.Join(names, ", "))
}

// New makes the Assigner of a spec that passes Check.
func New(s Spec) (Assigner, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	k, _ := Lookup(s.Kind)
	return k.New(s), nil
}
