package window

// Kind is one type of window.
type Kind struct {
	Name  string              // as in `type:`; "" is no window
	Doc   string              // one sentence for users
	Keys  []string            // keys of the YAML besides type and grace
	check func(Spec) error    // spans are in [0, maxSpan] already
	New   func(Spec) Assigner // of a spec that passes Check
}

// kinds is sorted by name.
var kinds = []Kind{
	{"", unwindowedDoc, nil, checkUnwindowed, newUnwindowed},
	{"hopping", hoppingDoc, []string{"size", "advance", "offset"}, checkHopping, newHopping},
	{"tumbling", tumblingDoc, []string{"size", "offset"}, checkTumbling, newTumbling},
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
