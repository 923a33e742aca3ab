package kafka

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// group balances members of one group with one leader, generation by generation.
type group struct {
	*balancer
	fenced, heard []string
	writer        []string
	failing       bool
}

func newGroup() *group {
	g := &group{}
	g.balancer = &balancer{
		GroupBalancer: kgo.RangeBalancer(),
		joining:       func() {},
		writers:       func(context.Context) ([]string, error) { return g.writer, nil },
		fence: func(_ context.Context, ids []string) error {
			g.fenced = append(g.fenced, ids...)
			if g.failing {
				return errors.New("no rights")
			}
			return nil
		},
		vanished: func(ids []string) { g.heard = append(g.heard, ids...) },
		log:      func(string, ...any) {},
	}
	return g
}

// generation balances members named after their transactional ids and gives
// each one's partitions, and whom the leader fenced.
func (g *group) generation(t *testing.T, topics map[string]int32, ids ...string) (plan map[string]map[string][]int32, fenced []string) {
	t.Helper()
	var members []kmsg.JoinGroupResponseMember
	for _, id := range ids {
		joiner := &balancer{transactionalID: id, joining: func() {}}
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID = id
		var names []string
		for topic := range topics {
			names = append(names, topic)
		}
		slices.Sort(names)
		m.ProtocolMetadata = joiner.JoinGroupMetadata(names, nil, 1)
		members = append(members, m)
	}
	g.fenced = nil
	mb, _, err := g.MemberBalancer(members)
	if err != nil {
		t.Fatal(err)
	}
	into, err := mb.(kgo.GroupMemberBalancerOrError).BalanceOrError(topics)
	if err != nil {
		t.Fatal(err)
	}
	return into.(*kgo.BalancePlan).AsMemberIDMap(), g.fenced
}

// Topics with equal counts are co-partitioned: a task's inputs are together.
func TestCoPartitioned(t *testing.T) {
	for members := 1; members <= 7; members++ {
		ids := []string{"a", "b", "c", "d", "e", "f", "g"}[:members]
		plan, _ := newGroup().generation(t, map[string]int32{"in": 5, "in2": 5}, ids...)
		all := 0
		for id, topics := range plan {
			if !slices.Equal(topics["in"], topics["in2"]) {
				t.Errorf("%d members: %s has %v", members, id, topics)
			}
			all += len(topics["in"])
		}
		if all != 5 {
			t.Errorf("%d members own %d partitions", members, all)
		}
	}
}

// Ids that vanished since the last generation are fenced once, before the plan.
func TestVanished(t *testing.T) {
	g := newGroup()
	topics := map[string]int32{"in": 4}
	step := func(why string, want []string, present ...string) {
		t.Helper()
		if _, fenced := g.generation(t, topics, present...); !slices.Equal(fenced, want) {
			t.Errorf("%s: fenced %q, want %q", why, fenced, want)
		}
	}
	step("a new group", nil, "a", "b", "c")
	step("nobody left", nil, "a", "b", "c")
	step("b left", []string{"b"}, "a", "c")
	step("once is enough", nil, "a", "c")
	step("b is back, d is new", nil, "a", "b", "c", "d")
	step("two left, b again", []string{"b", "d"}, "a", "c")
	g.writer = []string{"a", "b", "old", "", "old"}
	step("a writer nobody has seen", []string{"old"}, "a", "c")
	step("and that once", nil, "a", "c")
	g.failing = true
	step("fencing fails: the group goes on, the transaction will time out", []string{"c"}, "a")
	if want := []string{"b", "b", "d", "old", "c"}; !slices.Equal(g.heard, want) {
		t.Errorf("heard of %q, want %q", g.heard, want)
	}
}

// A member of another kind has no id and does no harm.
func TestForeignMembers(t *testing.T) {
	for _, userData := range [][]byte{nil, {}, {9}, {9, 'x'}, {userDataVersion}} {
		meta := kmsg.NewConsumerMemberMetadata()
		meta.Version, meta.UserData = 3, userData
		m := kmsg.NewJoinGroupResponseMember()
		m.ProtocolMetadata = meta.AppendTo(nil)
		if ids := presentIDs([]kmsg.JoinGroupResponseMember{m, {ProtocolMetadata: []byte{1}}}); len(ids) != 0 {
			t.Errorf("user data %v: ids %q", userData, ids)
		}
	}
}
