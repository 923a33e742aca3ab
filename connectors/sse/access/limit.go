package access

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxCounted is how many names or addresses are counted at most: about 20 MB.
// Above it the idle ones are forgotten, then whoever comes is not let in: an
// attacker with a /16 must not cost memory without end.
const maxCounted = 1 << 16

// limiter bounds requests per second and streams at once, for each key of its
// own. A nil one bounds nothing.
type limiter struct {
	rate    rate.Limit
	burst   int
	streams int
	now     func() time.Time

	mu    sync.Mutex
	of    map[string]*counter
	swept time.Time
}

type counter struct {
	bucket  *rate.Limiter
	streams int
	seen    time.Time
}

// newLimiter takes defaults for zeros; below zero is without limit.
func newLimiter(perSecond, defaultRate float64, burst, defaultBurst, streams, defaultStreams int, now func() time.Time) *limiter {
	l := &limiter{rate: rate.Limit(perSecond), burst: burst, streams: streams, now: now, of: map[string]*counter{}}
	if perSecond == 0 {
		l.rate = rate.Limit(defaultRate)
	}
	if burst == 0 {
		l.burst = max(defaultBurst, int(math.Ceil(4*float64(max(0, perSecond)))))
	}
	if streams == 0 {
		l.streams = defaultStreams
	}
	if perSecond < 0 || burst < 0 {
		l.rate = rate.Inf
	}
	if streams < 0 {
		l.streams = math.MaxInt
	}
	return l
}

// allow counts a request; where it is one too many, wait tells when to ask
// again.
func (l *limiter) allow(key string) (wait time.Duration, ok bool) {
	if l == nil {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.counter(key)
	if !ok {
		return 10 * time.Second, false
	}
	r := c.bucket.ReserveN(c.seen, 1)
	if !r.OK() {
		return time.Second, false
	}
	if wait = r.DelayFrom(c.seen); wait > 0 {
		r.CancelAt(c.seen)
		return wait, false
	}
	return 0, true
}

// enter counts a stream in; leave, which may be called once more, counts it
// out.
func (l *limiter) enter(key string) (leave func(), ok bool) {
	if l == nil {
		return func() {}, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.counter(key)
	if !ok || c.streams >= l.streams {
		return func() {}, false
	}
	c.streams++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		c.streams--
		c.seen = l.now()
	}), true
}

// counter finds or makes a key's counter; mu is held.
func (l *limiter) counter(key string) (*counter, bool) {
	now := l.now()
	c := l.of[key]
	if c == nil {
		if len(l.of) >= maxCounted {
			l.sweep(now)
		}
		if len(l.of) >= maxCounted {
			return nil, false
		}
		c = &counter{bucket: rate.NewLimiter(l.rate, l.burst)}
		l.of[key] = c
	}
	c.seen = now
	return c, true
}

// sweep forgets whoever has no stream and has a full bucket again; at most
// once a second, as it looks at all.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for key, c := range l.of {
		if c.streams == 0 && (l.rate == rate.Inf || c.bucket.TokensAt(now) >= float64(l.burst)) {
			delete(l.of, key)
		}
	}
}

// addressKey is what an address is counted by: "" for this machine, which is
// not; of IPv6 the network, as a host has as many addresses as it likes.
func addressKey(a netip.Addr) string {
	a = a.Unmap()
	switch {
	case a.IsLoopback():
		return ""
	case a.Is6():
		p, _ := a.WithZone("").Prefix(64)
		return p.String()
	}
	return a.String()
}
