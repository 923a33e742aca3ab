package window

import "errors"

const unwindowedDoc = "No window: one result per key over all rows so far."

// Unwindowed is the one window that holds every row and never ends: one pane,
// with the end MaxTime, which is never late.
type Unwindowed struct{}

var _ Assigner = Unwindowed{}

func checkUnwindowed(s Spec) error {
	if s != (Spec{}) {
		return errors.New("a window needs a type: tumbling, or hopping with an advance")
	}
	return nil
}

func newUnwindowed(Spec) Assigner { return Unwindowed{} }

// PaneWidth is MaxTime.
func (Unwindowed) PaneWidth() int64 { return MaxTime }

// PaneStart is MinTime.
func (Unwindowed) PaneStart(int64) int64 { return MinTime }

// PaneEnd is MaxTime.
func (Unwindowed) PaneEnd(int64) int64 { return MaxTime }

// FirstEnd is MaxTime.
func (Unwindowed) FirstEnd(int64) int64 { return MaxTime }

// LastEnd is MaxTime.
func (Unwindowed) LastEnd(int64) int64 { return MaxTime }

// NextEnd is MaxTime: no window follows.
func (Unwindowed) NextEnd(int64) int64 { return MaxTime }

// Start is MinTime.
func (Unwindowed) Start(int64) int64 { return MinTime }

// Overlap is 1.
func (Unwindowed) Overlap() int64 { return 1 }

// EndsAfter is MaxTime.
func (Unwindowed) EndsAfter(int64) int64 { return MaxTime }
