package embedded

import (
	"context"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// virtualLatency is what a request takes on the virtual network.
//
// It must not be nothing. Where a broker refuses a fetch at once, franz-go asks
// again at once in some cases (FENCED_LEADER_EPOCH before the first record of a
// position, one partition of several whose leader has moved) until its metadata
// is fresh, and that may wait for a timer. Between machines this is a burst of
// requests; where requests cost nothing the goroutines of a bubble never all
// wait, and virtual time stands still for ever.
const virtualLatency = 500 * time.Microsecond

// virtualDial connects over a network in memory. After end nothing takes time:
// at the end of a bubble none passes, and a client does not interrupt the first
// write of a connection when it closes.
func virtualDial(vn *kfake.VirtualNetwork, end <-chan struct{}) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := vn.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return latent{c, end}, nil
	}
}

// latent is a connection whose writes take time.
type latent struct {
	net.Conn
	end <-chan struct{}
}

func (c latent) Write(b []byte) (int, error) {
	t := time.NewTimer(virtualLatency)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.end:
	}
	return c.Conn.Write(b)
}
