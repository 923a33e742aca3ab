package engine

import (
	"errors"

	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
)

// ErrNullValue reports a stream's record with a null value: skipped and counted.
var ErrNullValue = errors.New("null value")

// Emit hands a batch to everything downstream of an operator. The batch is
// only read, and may be reused when Emit has returned.
type Emit func(*Batch) error

// Operator is one step of a task. A task calls it from one goroutine, never
// concurrently; it holds no lock, starts no goroutine and reads no clock.
type Operator interface {
	// Process takes one batch in and emits any number out. A record that goes
	// wrong is reported with Context.Bad and left out; an error stops the task.
	Process(b *Batch, out Emit) error
}

// Ported is an operator with several inputs (joins, union). The task calls
// ProcessPort in place of Process; port is the position in NodeSpec.Inputs.
// Advance is told the least watermark of the inputs.
type Ported interface {
	ProcessPort(port int, b *Batch, out Emit) error
}

// Advancer is an operator that time moves: windows, joins, expiry.
type Advancer interface {
	// Advance tells that no row before w will come that is not late. The
	// operator emits what this releases, in order of window end, and returns the
	// watermark that may go downstream after it. When the budget is used up it
	// returns done false and is called again with the same w in a later turn;
	// its cursor is part of its state.
	Advance(w int64, budget *Budget, out Emit) (down int64, done bool, err error)
}

// Flusher is an operator that emits at commits (emit: update with throttle).
type Flusher interface {
	// Flush is called before each commit with the lane's time (epoch ms). all
	// asks for everything pending whatever the throttle.
	Flush(now int64, all bool, out Emit) error
}

// Rememberer is an operator with a few bytes of state beside its tables (a
// close cursor, the last closed window, timers). They travel in the task's
// meta record, committed with everything else.
type Rememberer interface {
	Remember() []byte
	Recall([]byte) error
}

// Forgetful is an operator that looks at the old rows of deletes only, and not
// at whether a row is an insert or an update.
type Forgetful interface {
	// Forgets tells that it is.
	Forgets() bool
}

// Undoer is an operator that holds memory derived from tables (pending sets,
// caches), which must follow a commit or an abort.
type Undoer interface {
	Committed()
	RolledBack()
}

// Budget bounds one Advance: rows emitted and their bytes.
type Budget struct{ Rows, Bytes int }

// Take uses up one row of n bytes and tells whether anything is left.
func (b *Budget) Take(bytes int) bool {
	b.Rows--
	b.Bytes -= bytes
	return b.Rows > 0 && b.Bytes > 0
}

// Context is what a task gives to an operator when it opens it.
type Context struct {
	Pipeline string
	Name     string // the transform's or sink's name
	Task     int    // number of the task = partition
	Tasks    int    // of how many
	Now      func() int64
	Tables   []*state.Table // in the order of NodeSpec.Stores
	// Bad reports row i of b as gone wrong; the stage's policy decides between
	// dead letter and skip (nil) and stopping the task (the error returned).
	// count for a late row is done by Bad too.
	Bad func(stage Stage, b *Batch, row int32, err error) error
	// Produce adds an output record to the transaction; r's bytes must stay
	// unchanged until it ends: take them from Arena.
	Produce func(r Record)
	// Side hands a batch to those who read another output of this operator than
	// its first (branch: one per case; late rows: 1), see NodeSpec.Ports. With
	// nobody there it does nothing.
	Side func(port int, b *Batch) error
	// Arena gives n bytes that live until the transaction has ended.
	Arena func(n int) []byte
	// Partitions tells how many partitions an output topic has (kafka sinks,
	// repartition topics), as the plan fixed it.
	Partitions func(Topic) int
	// Count adds to a counter: null_keys, null_values, late, late_after_idle, …
	Count func(counter string, n int)
	// Watermark is the watermark that reached the operator (for marks, stamps).
	Watermark func() int64
	// Idle tells whether all sources that feed the operator are idle (for stamps);
	// timeless ones count only where there are no others.
	Idle func() bool
	// clocked tells whether the clock moved the task's watermark to where it is
	// (close_after_idle), here or upstream (for stamps).
	clocked func() bool
	// holds tells whether rows may still be on their way to the operator, held
	// until time has come, here or upstream (for stamps).
	holds func() window.Holding
	// booting tells whether a table that the operator's rows come from has yet to
	// be read to where it ended at the start.
	booting func() bool
	// Sub and Generation name the sub-topology in stamps.
	Sub, Generation int
	// Reach notes that a part of the operator was used (a case of a fold), for
	// the coverage of tests; nil where nobody asks.
	Reach func(what string)
	// Olds tells whether anybody downstream looks at the old rows of updates (see
	// Forgetful); nil: somebody may.
	Olds func() bool
	// Stats tells where the task stands (marks of a view).
	Stats func() TaskSnapshot

	// The operator's state at the last commit, which a rollback brings back.
	saved              []byte
	savedIn, savedDown int64
}

// Decoder turns source records into columns. One per task and source; it may
// keep scratch memory.
type Decoder interface {
	// Decode fills b.Cols (b.Schema's columns, N rows) from b.Src. Rows that do
	// not decode are reported and must be left out of b.Sel, which Decode makes.
	// A null value (tombstone) is left out too and reported with ErrNullValue; of
	// a table (SourceSpec.Table) the task makes a delete of it. A decoder of a
	// table that knows deletes of its own (an envelope) sets b.Op and b.Old.
	Decode(b *Batch, bad func(row int32, err error) error) error
}
