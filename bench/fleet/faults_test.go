//go:build synctests

package fleet

import (
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfakeProduce fails some produce requests of the workers' lanes. The test's own client
// meets them too, and tries again.
func kfakeProduce(err *kerr.Error, n int) []kfake.Fault {
	return []kfake.Fault{{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: n, When: func(r kmsg.Request) bool {
		p, ok := r.(*kmsg.ProduceRequest)
		return ok && p.TransactionID != nil
	}}}
}

// kfakeTransactions fails requests around the end of transactions.
func kfakeTransactions(rng *rand.Rand) []kfake.Fault {
	return []kfake.Fault{
		{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.CoordinatorNotAvailable, Count: 1 + rng.IntN(2)},
		{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorLoadInProgress, Count: 1 + rng.IntN(3)},
		{Keys: []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.InitProducerID}, Err: kerr.CoordinatorLoadInProgress, Count: 1},
	}
}
