package engine

import (
	"errors"
	"fmt"
)

// Stage is where a record went wrong; it names the error policy that applies
// and is the header leat.error.stage of a dead letter.
type Stage string

// The stages of docs/language.md, "Errors".
const (
	StageDecode     Stage = "decode"
	StageEventTime  Stage = "event_time"
	StageExpression Stage = "expression"
	StageAggregate  Stage = "aggregate"
	StageLate       Stage = "late"
	StageProduce    Stage = "produce"
	StageSend       Stage = "send" // an alert's way to its receiver
)

// Policy says what happens to a record that went wrong at a stage.
type Policy uint8

// The policies.
const (
	Fail Policy = iota
	Skip
	DeadLetter
)

// Kind is named after the reaction to an error; the reaction is written in
// one place, lane.run; cmd turns what is left into exit codes.
type Kind uint8

// The kinds.
const (
	Fatal        Kind = iota // stop the worker, exit 1
	BadRecord                // dead letter
	Retry                    // back off and try again
	Fenced                   // drop tasks and rejoin
	Corrupt                  // rebuild the state
	Environment              // broker unreachable, no rights, topic missing: exit 5
	Incompatible             // state or plan does not fit: exit 6
)

// Error carries the Kind that decides the reaction, and where it happened.
type Error struct {
	Kind      Kind
	Op        string // verb and subject: `restore store "clicks"`
	Topic     Topic
	Partition Partition
	Offset    Offset // -1: none
	Err       error
}

// E makes an Error without a position.
func E(kind Kind, op string, err error) *Error {
	return &Error{Kind: kind, Op: op, Offset: -1, Err: err}
}

func (e *Error) Error() string {
	if e.Topic == "" {
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("%s (%s/%d@%d): %v", e.Op, e.Topic, e.Partition, e.Offset, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf finds the kind of an error; an error without one is Fatal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Fatal
}
