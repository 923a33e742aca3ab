package window

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Spec is a window as a pipeline writes it. Spans are milliseconds, but for
// Size, Advance and Step where their unit says otherwise. A Kind's Keys say
// which fields it has; the others are zero.
type Spec struct {
	// Kind is the window's type: a name of Kinds, or "" for no window, where a
	// key has one result over all its rows so far.
	Kind string
	// Size is the length of a window. Of a sliding one, both ends included.
	Size int64
	// Advance is the distance from the start of a window to the start of the
	// next (hopping only).
	Advance int64
	// Offset moves all starts: 1h with windows of a day starts them at 01:00,
	// of UTC or, with a Zone, of its civil days; 24h with months on the second.
	Offset int64
	// Grace is how long after its end a window still takes rows. Default 0:
	// out-of-orderness is the watermark's business.
	Grace int64

	// Zone is an IANA time zone, such as Europe/Berlin: the bounds are those of
	// its civil calendar (tumbling, hopping, cumulate). "" is UTC without one.
	Zone string
	// SizeUnit, AdvanceUnit and StepUnit are what Size, Advance and Step count.
	// Units of the calendar need a Zone.
	SizeUnit, AdvanceUnit, StepUnit Unit
	// Step is how much longer each window of a cumulate is than the one before.
	Step int64
	// Gap is the longest silence within a session, inclusive.
	Gap int64
	// Mode is exact or trailing (sliding).
	Mode string
	// Count is how many rows a count window holds, the last of each key.
	Count int64
	// Every is the number of rows from one result of a count window to the next
	// (its key advance); 0 is 1.
	Every int64
	// Full: a count window has no result before Count rows have come.
	Full bool
}

// The modes of a sliding window.
const (
	Exact    = "exact"
	Trailing = "trailing"
)

// Unit is what a span counts.
type Unit uint8

// The units. A week begins on Monday.
const (
	Millis Unit = iota
	Days
	Weeks
	Months
	Years
)

// String is the unit as durations write it.
func (u Unit) String() string { return [...]string{"ms", "d", "w", "mo", "y"}[u] }

// maxSpan bounds sizes so that sums of a few of them fit: 35,000 years.
const maxSpan = 1 << 50

// String writes the spec for fingerprints of state: fields that were added
// later only where they are set.
func (s Spec) String() string {
	b := fmt.Sprintf("{Kind:%s Size:%d Advance:%d Offset:%d Grace:%d", s.Kind, s.Size, s.Advance, s.Offset, s.Grace)
	for _, f := range []struct {
		name string
		v    int64
	}{{"SizeUnit", int64(s.SizeUnit)}, {"AdvanceUnit", int64(s.AdvanceUnit)}, {"StepUnit", int64(s.StepUnit)}, {"Step", s.Step}, {"Gap", s.Gap}, {"Count", s.Count}, {"Every", s.Every}} {
		if f.v != 0 {
			b += " " + f.name + ":" + strconv.FormatInt(f.v, 10)
		}
	}
	if s.Zone != "" {
		b += " Zone:" + s.Zone
	}
	if s.Mode != "" {
		b += " Mode:" + s.Mode
	}
	if s.Full {
		b += " Full"
	}
	return b + "}"
}

// Check tells what is wrong with the spec, for the person who wrote it.
func (s Spec) Check() error {
	k, ok := Lookup(s.Kind)
	if !ok {
		return s.unknown()
	}
	for _, span := range []struct {
		name string
		ms   int64
	}{{"size", s.Size}, {"advance", s.Advance}, {"offset", s.Offset}, {"grace", s.Grace}, {"step", s.Step}, {"gap", s.Gap}} {
		if span.ms < 0 {
			return fmt.Errorf("%s must not be negative, it is %s", span.name, Format(span.ms))
		}
		if span.ms > maxSpan {
			return fmt.Errorf("%s is too long: %s is more than 35000 years", span.name, Format(span.ms))
		}
	}
	if err := s.strangers(k); err != nil {
		return err
	}
	return k.check(s)
}

// strangers reports fields that the kind has no key for.
func (s Spec) strangers(k Kind) error {
	for _, f := range []struct {
		key string
		set bool
	}{
		{"size", s.Kind != "count" && s.Size != 0 || s.Count != 0}, {"advance", s.Advance != 0 || s.Every != 0}, {"offset", s.Offset != 0},
		{"time_zone", s.Zone != ""}, {"step", s.Step != 0}, {"gap", s.Gap != 0}, {"mode", s.Mode != ""}, {"full", s.Full},
	} {
		if f.set && !k.has(f.key) && k.alien[f.key] != "" {
			return errors.New(k.alien[f.key])
		}
		if f.set && !k.has(f.key) && k.Name != "" {
			return fmt.Errorf("a %s window has no %s", k.Name, f.key)
		}
	}
	if s.Grace != 0 && k.NoGrace && k.Name != "" {
		return fmt.Errorf("a %s window has no grace: %s", k.Name, k.alien["grace"])
	}
	if s.Zone == "" && s.SizeUnit|s.AdvanceUnit|s.StepUnit != Millis {
		return errors.New("windows of the calendar need a time_zone")
	}
	return nil
}

// unknown explains a window type that is not in the table.
func (s Spec) unknown() error {
	var names []string
	for _, k := range Kinds() {
		if k.Name != "" {
			names = append(names, k.Name)
		}
	}
	return fmt.Errorf("unknown window type %q, known: %s", s.Kind, strings.Join(names, ", "))
}

// New makes the Assigner of a spec that passes Check, and whose Kind has one:
// the windows of the others follow the rows of a key.
func New(s Spec) (Assigner, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	k, _ := Lookup(s.Kind)
	if k.New == nil {
		return nil, fmt.Errorf("windows of type %s follow the rows: nothing assigns them", s.Kind)
	}
	return k.New(s), nil
}
