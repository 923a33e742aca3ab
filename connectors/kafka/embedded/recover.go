package embedded

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// abortCrashed writes the abort markers that a killed broker could not write.
// kfake takes a transaction that was open at the crash for aborted, but leaves
// no marker in the log: a client that reads committed then drops all that the
// same producer writes afterwards, as nothing told it where the aborted
// transaction ends; and after a second crash the next commit marker of that
// producer would make it a committed one.
func (b *Broker) abortCrashed(ctx context.Context) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.Dialer(b.dial))
	if err != nil {
		return err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	txns, err := admin.ListTransactions(ctx, nil, nil)
	if err != nil {
		return fmt.Errorf("list transactions: %w", err)
	}
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	for _, txn := range txns {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID = txn.ProducerID
		for _, t := range topics {
			mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
			mt.Topic = t.Topic
			for p := range t.Partitions {
				mt.Partitions = append(mt.Partitions, p)
			}
			m.Topics = append(m.Topics, mt)
		}
		req.Markers = append(req.Markers, m)
	}
	if len(req.Markers) == 0 {
		return nil
	}
	for _, s := range cl.RequestSharded(ctx, req) {
		if s.Err != nil {
			return s.Err
		}
		for _, m := range s.Resp.(*kmsg.WriteTxnMarkersResponse).Markers {
			for _, t := range m.Topics {
				for _, p := range t.Partitions {
					if p.ErrorCode != 0 {
						return fmt.Errorf("marker in %s/%d: error %d", t.Topic, p.Partition, p.ErrorCode)
					}
				}
			}
		}
	}
	return nil
}
