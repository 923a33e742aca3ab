package engine

// PartitionOf is Java's default partitioner: murmur2 of the key, sign bit
// dropped, modulo n. All topics we write are partitioned with it, so that
// they co-partition with what Kafka's own clients write.
// Source: org.apache.kafka.common.utils.Utils.murmur2.
func PartitionOf(key []byte, n int) Partition {
	return Partition(int32(murmur2(key)&0x7fffffff) % int32(n))
}

func murmur2(b []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
		r    = 24
	)
	h := uint32(seed) ^ uint32(len(b))
	for len(b) >= 4 {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		k *= m
		k ^= k >> r
		k *= m
		h *= m
		h ^= k
		b = b[4:]
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}
