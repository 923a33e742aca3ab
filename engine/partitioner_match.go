package engine

import "hash/crc32"

// Partitioner is how a family of Kafka clients spreads keys over partitions.
// Two topics are co-partitioned only where their writers are of one family,
// however equal their partition counts are.
type Partitioner struct {
	Name    string                            // as plan shows it
	Clients string                            // whose default it is
	Of      func(key []byte, n int) Partition // n > 0
}

// Partitioners lists the families that are known; the first is ours.
var Partitioners = []Partitioner{
	{"murmur2", "Kafka's Java clients, Kafka Streams, ksqlDB, franz-go, KafkaJS 2, leat", PartitionOf},
	{"crc32", "librdkafka (consistent_random): Python, .NET, C++, Node, PHP", crcPartition},
	{"fnv1a", "sarama, kafka-go (Hash)", fnvPartition},
}

// crcPartition is librdkafka's `consistent`: CRC-32 of the key modulo n.
func crcPartition(key []byte, n int) Partition {
	return Partition(crc32.ChecksumIEEE(key) % uint32(n))
}

// fnvPartition is sarama's NewHashPartitioner: FNV-1a as a signed number,
// modulo n, without the sign.
func fnvPartition(key []byte, n int) Partition {
	h := uint32(2166136261)
	for _, c := range key {
		h = (h ^ uint32(c)) * 16777619
	}
	p := int32(h) % int32(n)
	if p < 0 {
		p = -p
	}
	return Partition(p)
}

// KeySample is a record of a topic of Of partitions.
type KeySample struct {
	Key       []byte
	Partition Partition
	Of        int
}

// PartitionerMatch says which family's partitions samples agree with.
type PartitionerMatch struct {
	// Family is the name of the one that they agree with best; "" where none
	// does better than a key's partition by chance, or nothing tells.
	Family string
	// Wrong is the share of samples that disagree with Family, 0 to 1 (with ""
	// the least of all families): records of other writers, or from before the
	// topic got more partitions.
	Wrong float64
	// WrongHere is the share that is not where leat would look for the key: that
	// of the first family.
	WrongHere float64
	// Samples is how many told something: a key that is not empty, in a topic of
	// more than one partition.
	Samples int
}

// MatchPartitioner compares sampled records with the families of partitioners.
// A key counts once per partition it is in, however many records it has: a hot
// key must not outvote the others.
func MatchPartitioner(samples []KeySample) PartitionerMatch {
	type place struct {
		key string
		at  Partition
		of  int
	}
	seen := map[place]bool{}
	wrong := make([]int, len(Partitioners))
	chance := 0.0 // how many would be wrong were partitions random
	var m PartitionerMatch
	for _, s := range samples {
		p := place{string(s.Key), s.Partition, s.Of}
		if len(s.Key) == 0 || s.Of < 2 || seen[p] {
			continue
		}
		seen[p] = true
		m.Samples++
		chance += 1 - 1/float64(s.Of)
		for f := range Partitioners {
			if Partitioners[f].Of(s.Key, s.Of) != s.Partition {
				wrong[f]++
			}
		}
	}
	if m.Samples == 0 {
		return m
	}
	best, second := 0, -1
	for f := 1; f < len(wrong); f++ {
		switch {
		case wrong[f] < wrong[best]:
			best, second = f, best
		case second < 0 || wrong[f] < wrong[second]:
			second = f
		}
	}
	m.Wrong = float64(wrong[best]) / float64(m.Samples)
	m.WrongHere = float64(wrong[0]) / float64(m.Samples)
	if float64(wrong[best]) < chance/2 && wrong[best] < wrong[second] {
		m.Family = Partitioners[best].Name
	}
	return m
}
