package engine

import "math"

// Topic is the name of a Kafka topic.
type Topic string

// Partition is the number of a partition of a topic.
type Partition int32

// Offset is the position of a record in a partition.
type Offset int64

// TopicPartition names one partition of one topic.
type TopicPartition struct {
	Topic     Topic
	Partition Partition
}

// Event time is epoch milliseconds in an int64 column; these are its ends.
const (
	// MinTime is the watermark of an input that has not been heard yet.
	MinTime int64 = math.MinInt64
	// MaxTime is the watermark at the end of input (--close-windows, leat pipe).
	MaxTime int64 = math.MaxInt64
)
