package kafka

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// balancer is kgo's eager range balancer with three additions: each member
// tells its transactional id; the leader fences the ids that vanished before
// it hands out partitions; and every (re)join voids the assignment, because the
// revoke callback cannot be relied on (GroupTransactSession swallows the second
// revoke until End has run).
//
//	join:  {topics, transactional id} ─▶ coordinator ─▶ leader
//	leader: known ids − ids present = dead ─▶ InitProducerId each ─▶ plan ─▶ sync
//
// Range assigns topic by topic in member order, so topics with equal partition
// counts are co-partitioned as long as all members read the same topics.
//
// kgo calls it from the group's goroutine, never concurrently with itself.
type balancer struct {
	kgo.GroupBalancer // range
	transactionalID   string
	joining           func()                                  // the client joins: nothing is assigned any more
	writers           func(context.Context) ([]string, error) // ids named by the group's offset metadata
	fence             func(context.Context, []string) error
	vanished          func([]string)
	log               func(msg string, args ...any)

	mu    sync.Mutex
	known map[string]bool // ids of the last generation this member led, and fenced ones (false)
}

// fenceTimeout bounds what the leader does about the dead before it goes on
// without: their transactions then end by timeout.
const fenceTimeout = 5 * time.Second

// userData version byte, then the transactional id.
const userDataVersion = 1

func (b *balancer) JoinGroupMetadata(topics []string, _ map[string][]int32, generation int32) []byte {
	b.joining()
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version = 3
	meta.Topics = topics
	meta.Generation = generation
	meta.UserData = append([]byte{userDataVersion}, b.transactionalID...)
	return meta.AppendTo(nil)
}

func (b *balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	b.buryDead(presentIDs(members))
	return b.GroupBalancer.MemberBalancer(members)
}

// presentIDs are the transactional ids that the members report.
func presentIDs(members []kmsg.JoinGroupResponseMember) []string {
	var ids []string
	for i := range members {
		meta := kmsg.NewConsumerMemberMetadata()
		if err := meta.ReadFrom(members[i].ProtocolMetadata); err != nil {
			continue // a foreign member: it has no id
		}
		if id := idIn(meta.UserData); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// idIn is the transactional id that a member tells; "" for a foreign one.
func idIn(userData []byte) string {
	if len(userData) > 1 && userData[0] == userDataVersion {
		return string(userData[1:])
	}
	return ""
}

// buryDead fences the ids that were there and are not, before anybody is told
// what they owned. What is not fenced now ends by its transaction timeout.
func (b *balancer) buryDead(present []string) {
	ctx, cancel := context.WithTimeout(context.Background(), fenceTimeout)
	defer cancel()
	writers, err := b.writers(ctx)
	if err != nil {
		b.log("kafka: read who wrote the group's offsets", "err", err)
	}

	b.mu.Lock()
	var dead []string
	for id, alive := range b.known {
		if alive && !slices.Contains(present, id) {
			dead = append(dead, id)
		}
	}
	for _, id := range writers {
		if sameWorker(id, b.transactionalID) {
			continue // a lane of ours that has not joined yet claims its id itself
		}
		// An id that was fenced and has not come back cannot have written since.
		if _, seen := b.known[id]; !seen && id != "" && !slices.Contains(present, id) {
			dead = append(dead, id)
		}
	}
	slices.Sort(dead)
	dead = slices.Compact(dead)
	if b.known == nil {
		b.known = make(map[string]bool)
	}
	for _, id := range present {
		b.known[id] = true
	}
	for _, id := range dead {
		b.known[id] = false
	}
	b.mu.Unlock()

	if len(dead) == 0 {
		return
	}
	if err := b.fence(ctx, dead); err != nil {
		b.log("kafka: fence transactions of dead lanes; they end by timeout instead", "ids", dead, "err", err)
	}
	b.vanished(dead)
}

// sameWorker tells whether two transactional ids, <pipeline>.<generation>.
// <worker id>.<lane>, belong to one worker.
func sameWorker(a, b string) bool {
	i, j := strings.LastIndexByte(a, '.'), strings.LastIndexByte(b, '.')
	return i >= 0 && j >= 0 && a[:i] == b[:j]
}

// writersOf collects the writers that offset metadata names.
func writersOf(offsets map[engine.TopicPartition]engine.Committed, writer func(string) string) []string {
	var ids []string
	for _, o := range offsets {
		if id := writer(o.Metadata); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}
