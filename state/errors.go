package state

import (
	"errors"
	"fmt"
)

// What can go wrong, by what the caller should do about it.
var (
	// ErrLeased: another lease on the task is open; wait for it, or abandon it.
	ErrLeased = errors.New("task is leased")
	// ErrStale: the lease was given back or superseded, or the position would go
	// backwards; drop the task.
	ErrStale = errors.New("lease is stale")
	// ErrCorrupt: stored bytes of one store do not decode; rebuild that store
	// (DB.DropStore). The error is a *CorruptError, which names it.
	ErrCorrupt = errors.New("corrupt state")
	// ErrDamaged: the state folder as a whole is bad; SetAside and rebuild all.
	ErrDamaged = errors.New("damaged state folder")
	// ErrOtherIdentity: the folder belongs to another worker or cluster.
	ErrOtherIdentity = errors.New("another worker's or cluster's")
	// ErrInUse: another process holds the folder.
	ErrInUse = errors.New("in use")
	// ErrClosed: the DB was closed.
	ErrClosed = errors.New("state is closed")

	errUncommitted = errors.New("there are uncommitted changes")
)

// CorruptError names the store whose bytes do not decode. errors.Is finds
// ErrCorrupt in it.
type CorruptError struct {
	Task  string // "" without a disk
	Store string
	Err   error
}

func (e *CorruptError) Error() string {
	if e.Task == "" {
		return fmt.Sprintf("decode store %q: %v", e.Store, e.Err)
	}
	return fmt.Sprintf("decode store %q of task %q: %v", e.Store, e.Task, e.Err)
}

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() []error { return []error{ErrCorrupt, e.Err} }
