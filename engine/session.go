package engine

import (
	"context"
	"strings"
	"time"
)

// Record is one record to be produced. Its bytes belong to the task's arena
// and are unchanged until the End of the transaction that carries it.
type Record struct {
	Topic     Topic
	Partition Partition // always exact: we partition, the client never does
	Key       []byte    // nil: null
	Value     []byte    // nil: tombstone
	Time      int64     // epoch ms; 0: append time (the client's now)
	Headers   []Header
}

// Committed is what the group knows about one input partition.
type Committed struct {
	Offset   Offset // next record to read; -1: nothing committed
	Metadata string // our OffsetMeta, encoded
}

// OffsetCommit is one input partition's part of a commit.
type OffsetCommit struct {
	TopicPartition
	Offset   Offset // the first unprocessed record
	Metadata string // under 4 KB
}

// Outcome is how a transaction ended.
type Outcome uint8

// The outcomes of End.
const (
	Aborted   Outcome = iota // nothing was written; the lane copies back and sets its positions
	Done                     // everything was written; the lane applies
	LostLease                // the group took the partitions away: drop the tasks; nothing was written
)

// Session is one lane's place in the consumer group with its transactional
// producer. A lane calls it from its own goroutine only. connectors/kafka
// implements it over kgo.GroupTransactSession (exactly once) or a plain group
// consumer with a flush in place of the transaction (at least once).
//
// Order of calls, every turn, idle or not:
//
//	Poll → Begin → Produce* → End → (apply) → AllowRebalance
type Session interface {
	// Assignment gives the partitions the client says it owns now, and a number
	// that changes whenever the assignment or the membership changed. The lane
	// reconciles its tasks against it every turn.
	Assignment() (generation int64, owned []TopicPartition)
	// Poll returns the next rows, at most max, waiting at most wait for the
	// first. Rows of one partition come in offset order and follow on from the
	// last position. It returns early when the assignment changed.
	Poll(ctx context.Context, max int, wait time.Duration) ([]*Rows, error)
	// Begin starts a transaction. Nothing is sent before the first Produce.
	Begin() error
	// Produce hands records over. Errors surface in End.
	Produce(recs []Record)
	// End commits (or, with commit false, aborts) what was produced since Begin
	// together with the offsets: the one place that ends a transaction. It
	// resolves unknown outcomes by commit number before it returns: number is
	// in every metadata (OffsetMeta.Commit). A produce error aborts and comes back
	// as the error beside Aborted.
	End(ctx context.Context, commit bool, number int64, offsets []OffsetCommit) (Outcome, error)
	// Produced gives, per topic partition written by the last End that was Done,
	// the offset after its last record: what a changelog position is made of.
	Produced() map[TopicPartition]Offset
	// SetPositions makes the next Poll continue exactly there; called after
	// every assignment and every End that was not Done.
	SetPositions(pos map[TopicPartition]Offset)
	// Pause and Resume stop and restart fetching.
	Pause(tps []TopicPartition)
	Resume(tps []TopicPartition)
	// HighWatermarks asks the broker afresh for the end of the partitions
	// (read uncommitted). Used for silent partitions only.
	HighWatermarks(ctx context.Context, tps []TopicPartition) (map[TopicPartition]Offset, error)
	// Committed asks the group (stable) for committed offsets and metadata.
	Committed(ctx context.Context, tps []TopicPartition) (map[TopicPartition]Committed, error)
	// AllowRebalance lets a pending rebalance run; the end of every turn.
	AllowRebalance()
	// TransactionalID names the producer; "" when at least once.
	TransactionalID() string
	// Close leaves the group when leave is set, and ends all its goroutines.
	Close(leave bool)
}

// TopicInfo is what the cluster says about a topic.
type TopicInfo struct {
	Exists     bool
	ID         string // topic id, hex; "" where the broker has none
	Partitions int
	Configs    map[string]string
}

// TopicSpec is a topic that should exist.
type TopicSpec struct {
	Topic      Topic
	Partitions int
	Configs    map[string]string // e.g. cleanup.policy
	MustExist  bool              // it is not created: without it there is no plan
}

// Cluster is the broker as the worker sees it, outside any group. Safe for
// concurrent use.
type Cluster interface {
	ID(ctx context.Context) (string, error)
	// Topics describes topics; all names of the cluster are used for suggestions.
	Topics(ctx context.Context, names ...Topic) (map[Topic]TopicInfo, error)
	AllTopics(ctx context.Context) ([]Topic, error)
	// CreateTopics creates what is missing; a topic that somebody else created
	// meanwhile is fine. It then verifies the partition counts.
	CreateTopics(ctx context.Context, specs []TopicSpec) (created []Topic, err error)
	// StartOffsets resolves "earliest", "latest" or a timestamp to exact offsets.
	StartOffsets(ctx context.Context, topic Topic, start Start) (map[Partition]Offset, error)
	EndOffsets(ctx context.Context, topic Topic) (map[Partition]Offset, error)
	// GroupOffsets reads committed offsets (stable) with metadata.
	GroupOffsets(ctx context.Context, group string) (map[TopicPartition]Committed, error)
	// Members counts the members of a group: 0 where there is no such group.
	Members(ctx context.Context, group string) (int, error)
	// Read reads [from, end) of a partition, read committed, where end is the
	// high watermark (read uncommitted) asked for at the call, and calls fn with
	// each batch. It returns the position it ended at (≥ that high watermark).
	// from -1 means the log's start. No progress for stall names the open producer.
	Read(ctx context.Context, tp TopicPartition, from Offset, fn func(*Rows) error) (Offset, error)
	// Tail reads all partitions of a topic, read committed, from the given
	// offsets (missing: the log's start) until ctx ends, and calls fn from one
	// goroutine with each fetch and with the positions reached. It is how a
	// serving node follows a view topic.
	Tail(ctx context.Context, topic Topic, from map[Partition]Offset, fn func(rows []*Rows, pos map[Partition]Offset) error) error
	// LogStart is the first offset of the partition.
	LogStart(ctx context.Context, tp TopicPartition) (Offset, error)
	// DeleteRecords purges a repartition topic below an offset.
	DeleteRecords(ctx context.Context, below map[TopicPartition]Offset) error
	// Produce writes records outside any group or transaction (the meta topic).
	Produce(ctx context.Context, recs []Record) error
	// FenceTransactionalIDs aborts the open transactions of dead lanes.
	FenceTransactionalIDs(ctx context.Context, ids []string) error
	Close()
}

// Start is where a source begins when the group has no offsets.
type Start struct {
	Latest bool
	At     int64 // epoch ms; used when > 0
}

// before tells whether a start lies before another.
func (s Start) before(o Start) bool {
	if s.Latest != o.Latest {
		return o.Latest
	}
	return !s.Latest && s.At < o.At
}

// StdoutTopic is the pseudo topic of a stdout sink: its records never reach a
// broker; who ends the transaction writes them as lines once it committed.
func StdoutTopic(sink string) Topic { return Topic(stdoutPrefix + sink) }

// FileTopic is that of a file sink.
func FileTopic(sink string) Topic { return Topic(filePrefix + sink) }

const (
	stdoutPrefix = "stdout:"
	filePrefix   = "file:"
)

// IsLocal tells whether a topic is a stdout or file sink's.
func (t Topic) IsLocal() bool {
	return strings.HasPrefix(string(t), stdoutPrefix) || strings.HasPrefix(string(t), filePrefix)
}
