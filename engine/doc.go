// Package engine is the contract (what a batch, an operator, a source and a
// sink are) and the loop that runs them.
//
//	Topology   what a pipeline is: sub-topologies cut at repartition topics     immutable, shared
//	Task       one sub-topology × one partition: operators, tables, time        synchronous, no goroutine, lock or clock
//	Lane       one goroutine with a group member and a producer, owning tasks   lane.go, ownership.go
//	Worker     starts every goroutine and waits for all of them                 worker.go
//	Driver     the same tasks without a broker: leat pipe, leat test            driver.go
//
// The way of a record is task.go, read from top to bottom: Process decodes a
// batch, gives each row its event time and its origin (input.go) and calls the
// operators; Advance moves the watermark through them; Prepare flushes updates
// and writes the changelog; then a transaction; then Committed or RolledBack.
//
// What a task reads has three levels:
//
//	source   what the pipeline names: a schema, a time policy, stream or table
//	input    one partition of one source: its decoder, its time             input.go, table.go
//	feed     one partition, whichever sources read it: position, commit     feed.go
//
// and what it runs is a graph of nodes with numbered inputs and outputs
// (graph.go). Where rows of several inputs meet in a node, they wait in their
// feeds and go in order of event time, tables first (merge.go).
//
// What connectors implement for us stands in session.go (Session: a lane's
// place in the group; Cluster: the broker outside any group) and operator.go
// (Decoder, and sinks, which are operators).
//
// # Goroutines
//
// All start in Worker.start and restore, through one WaitGroup each for lanes
// and for the rest; nothing else in this package starts one.
//
//	lane ×N       polls, processes, commits           ends: drain, until-end, an error that is not the session's
//	flush         Pebble to disk every FlushEvery     ends: the worker's context
//	purge         repartition topics, every 30 s      ends: the worker's context
//	ends          --until-end: watches the group      ends: all read (and closed)
//	restore ≤2    a task's state, for a lane          ends: restored or revoked
//
// # What must stay true
//
//   - Every transaction that writes for a task commits an offset of its inputs,
//     also when nothing was read: that is what fences a lane that lost its tasks.
//   - Positions are the lane's. After an assignment, and after every End that
//     was not Done, they are set again; what the client has polled counts for
//     nothing.
//   - Lateness is judged by a row's origin, never by the task's watermark: the
//     same partitions find the same rows late in every run.
//   - A stamp is produced behind the rows it covers, in the same transaction.
//   - State goes to Pebble only after its transaction has committed.
//   - The input offsets in a task's state equal the group's, or a person decides.
//   - Only lanes and the worker look at the clock; tasks are told.
//   - A row that waits for its turn is not processed: a feed's position, its
//     inputs' watermarks, its stamps and its dead letters are those of the rows
//     that were.
//   - A node's time and idleness are those of the sources that feed it, never
//     the task's: sub-topologies may write to each other in a circle. Idle inputs
//     and timeless ones (tables) do not count where there are others.
//
// # Non-obvious
//
//   - A pane takes parts: a row late for the first k windows of its pane goes to
//     the pane's part k (operators/aggregate.go). Without it hopping windows
//     would depend on when they are closed.
//
//   - An abort in the middle of a stepwise close must come back to the middle:
//     Task.wasClosing.
//
//   - A task that is being restored starts over when the assignment changes:
//     somebody else may have had it in between.
//
//   - Rows.Next moves past transaction markers: without it a position never
//     reaches the end of a topic written by transactions.
//
//   - Where a row reaches one operator on two ways, rows go one by one: the order
//     would else depend on the sizes of batches (stepwise in graph.go).
//
//   - A table that is new to the group is read first to where it ended then. That
//     end is committed with its offset, so that a restart goes on with it.
//
//   - The same holds behind a repartition topic: who writes a table there is silent
//     about time until it has read so far, and who reads it waits for all of them
//     (SourceSpec.Whole). Of a broadcast table each partition gets all rows.
//
//   - The Driver runs one sub-topology after the other and mixes what tasks send
//     through repartition topics by event time: with all data there, results do
//     not depend on the sizes of its turns.
//
// To change what happens to an error: Kind in errors.go, and lane.run, the one
// place that reacts. To add a topic we write: NodeSpec.Outputs, and plan.go
// creates and checks it.
package engine
