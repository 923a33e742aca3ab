package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrOffsetOutOfRange reports a position outside the log: purged by retention,
// compaction or DeleteRecords, or beyond its end. Whoever reads a changelog
// rebuilds the store from the log's start; whoever reads a source stops.
var ErrOffsetOutOfRange = engine.ErrOffsetOutOfRange

// ErrTruncated reports that records already read are no longer in the log: an
// unclean leader election lost them.
var ErrTruncated = errors.New("log truncated below the position")

// ErrTopicMissing reports a topic that does not exist.
var ErrTopicMissing = errors.New("topic does not exist")

// errStaleMember is the commit hook's refusal: the client would commit as a
// member, or in a generation, that the lane has not seen.
var errStaleMember = errors.New("the group moved on since the lane's assignment")

// fail wraps err as an engine.Error whose Kind says what the caller should do.
func (c *Config) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if e := (*engine.Error)(nil); errors.As(err, &e) {
		return err
	}
	kind, err := c.classify(err)
	return engine.E(kind, op, err)
}

// classify finds the Kind of an error of the client or the broker, and says the
// common ones in words that help.
func (c *Config) classify(err error) (engine.Kind, error) {
	switch {
	case errors.Is(err, ErrOffsetOutOfRange), errors.Is(err, kerr.OffsetOutOfRange):
		if !errors.Is(err, ErrOffsetOutOfRange) {
			err = fmt.Errorf("%w (%w)", ErrOffsetOutOfRange, err)
		}
		return engine.Fatal, err
	case errors.Is(err, ErrTopicMissing):
		return engine.Environment, err
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InvalidTopicException):
		return engine.Environment, fmt.Errorf("%w (%w)", ErrTopicMissing, err)
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed),
		errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.TransactionalIDAuthorizationFailed),
		errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism),
		errors.Is(err, kerr.SecurityDisabled), errors.Is(err, kerr.PolicyViolation):
		return engine.Environment, fmt.Errorf("no rights: %w", err)
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidTimestamp),
		errors.Is(err, kerr.InvalidRecord):
		return engine.BadRecord, err
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.FencedInstanceID),
		errors.Is(err, kerr.InvalidProducerIDMapping), errors.Is(err, kgo.ErrClientClosed):
		return engine.Fenced, err
	case unreachable(err):
		hint := "is it running?"
		if dns := new(net.DNSError); errors.As(err, &dns) && dns.IsNotFound {
			hint = fmt.Sprintf("the name %q is not known here", dns.Name)
		}
		return engine.Environment, fmt.Errorf("cannot reach a broker at %s (%s): %w", strings.Join(c.Brokers, ", "), hint, err)
	case errors.Is(err, context.Canceled):
		return engine.Retry, err
	case errors.Is(err, context.DeadlineExceeded), kerr.IsRetriable(err):
		return engine.Retry, err
	}
	return engine.Fatal, err
}

// explain says why a first connection failed.
func (c *Config) explain(err error) error {
	at := strings.Join(c.Brokers, ", ")
	switch _, why := c.classify(err); {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no broker at %s answered within %v (is it running?): %w", at, connectTimeout, err)
	case errors.Is(err, io.EOF):
		// What a broker does that expects TLS, or refuses credentials.
		return fmt.Errorf("the broker at %s closed the connection (are tls and sasl set as it wants?): %w", at, err)
	default:
		return why
	}
}

func unreachable(err error) bool {
	var (
		dial *net.OpError
		dns  *net.DNSError
	)
	return errors.As(err, &dns) || errors.As(err, &dial) && dial.Op == "dial" ||
		strings.Contains(err.Error(), "unable to dial")
}
