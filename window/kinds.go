package window

import "slices"

// Kind is one type of window.
type Kind struct {
	Name    string              // as in `type:`; "" is no window
	Doc     string              // one sentence for users
	Keys    []string            // keys of the YAML besides type and grace
	NoGrace bool                // grace is no key either
	check   func(Spec) error    // spans are in [0, maxSpan] already
	New     func(Spec) Assigner // of a spec that passes Check; nil: the windows follow the rows
	alien   map[string]string   // what to say of keys that other kinds have
}

// Inclusive tells that a window holds its end: it is late, and closes, when
// end < watermark - grace.
func (k Kind) Inclusive() bool { return k.Name == "sliding" || k.Name == "session" }

func (k Kind) has(key string) bool { return slices.Contains(k.Keys, key) }

// kinds is sorted by name.
var kinds = []Kind{
	{Name: "", Doc: unwindowedDoc, NoGrace: true, check: checkUnwindowed, New: newUnwindowed},
	{Name: "count", Doc: countDoc, Keys: []string{"size", "advance", "full"}, NoGrace: true, check: checkCount,
		alien: map[string]string{"grace": "it holds rows as they arrive, none is late"}},
	{Name: "cumulate", Doc: cumulateDoc, Keys: []string{"size", "step", "offset", "time_zone"}, check: checkCumulate, New: newCumulate},
	{Name: "hopping", Doc: hoppingDoc, Keys: []string{"size", "advance", "offset", "time_zone"}, check: checkHopping, New: newHopping},
	{Name: "same", Doc: sameDoc, NoGrace: true, check: func(Spec) error { return nil },
		alien: map[string]string{"grace": "it closes when its input's windows do"}},
	{Name: "session", Doc: sessionDoc, Keys: []string{"gap"}, check: checkSession},
	{Name: "sliding", Doc: slidingDoc, Keys: []string{"size", "mode"}, check: checkSliding,
		alien: map[string]string{"advance": "a sliding window has no advance: windows of one size at every advance are type hopping"}},
	{Name: "tumbling", Doc: tumblingDoc, Keys: []string{"size", "offset", "time_zone"}, check: checkTumbling, New: newTumbling,
		alien: map[string]string{"advance": "a tumbling window has no advance, it advances by its size: with one the window is type hopping"}},
}

// Kinds lists all types of window, sorted by name.
func Kinds() []Kind { return kinds }

// Lookup finds a type of window by its name.
func Lookup(name string) (Kind, bool) {
	for _, k := range kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}
