package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/connectors/outbox"
)

// ClientConfig says how addresses from outside are reached. The zero value
// works.
type ClientConfig struct {
	Guard Guard
	// Proxy is the address of an HTTP proxy, "" is none. Names are then resolved
	// by the proxy, which has to refuse what must not be reached; addresses
	// written as numbers are still judged here.
	Proxy string
	// CAFile is a PEM file of authorities to trust beside the system's.
	CAFile string
	// Timeout bounds one attempt, the answer's reading included. Default 10s.
	Timeout time.Duration
}

// Client posts to addresses that come from pipelines and from browsers. Safe
// for concurrent use.
type Client struct {
	c    ClientConfig
	http *http.Client
}

// answerBytes is how much of an answer is read.
const answerBytes = 16 << 10

// NewClient makes a client.
func NewClient(c ClientConfig) (*Client, error) {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	dialer := &net.Dialer{Timeout: c.Timeout}
	t := &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		MaxIdleConns: 64, MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
		MaxResponseHeaderBytes: answerBytes, DisableCompression: true, // a small answer stays small
	}
	if c.Proxy != "" {
		u, err := url.Parse(c.Proxy)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("the proxy for alerts is no address: for example http://proxy.example.org:3128")
		}
		t.Proxy = http.ProxyURL(u)
	} else {
		dialer.Control = c.Guard.control
	}
	t.DialContext = dialer.DialContext
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read authorities for alerts: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read authorities for alerts: no certificate in %s", c.CAFile)
		}
		t.TLSClientConfig.RootCAs = roots
	}
	return &Client{c, &http.Client{Transport: t, Timeout: c.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Answer is what a receiver said, as far as it was read.
type Answer struct {
	Status int
	Body   []byte
}

// Post sends one request. Anything but 2xx is an outbox.Failure: permanent for
// redirects and for 4xx other than 408, 425 and 429, with the receiver's
// Retry-After in it. The answer is given in any case, where there was one.
func (c *Client) Post(ctx context.Context, to *url.URL, header http.Header, body []byte) (Answer, error) {
	if addr, err := netip.ParseAddr(to.Hostname()); err == nil {
		if err := c.c.Guard.Check(addr); err != nil {
			return Answer{}, outbox.Permanent(fmt.Errorf("post to %s: %w", to.Host, err))
		}
	}
	req := (&http.Request{Method: http.MethodPost, URL: to, Host: to.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(string(body))), ContentLength: int64(len(body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(body))), nil }}).WithContext(ctx)
	if len(body) == 0 {
		req.Body = http.NoBody
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, c.unreachable(to, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	a := Answer{resp.StatusCode, text}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return a, nil // it has been taken, however the rest reads
	}
	_ = err
	return a, refused(to, resp, text)
}

// unreachable is the failure of a request that got no answer, without the URL.
func (c *Client) unreachable(to *url.URL, err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		if at.Timeout() {
			return fmt.Errorf("post to %s: no answer within %v", to.Host, c.c.Timeout)
		}
		err = at.Err
	}
	var no *Refused
	if errors.As(err, &no) {
		return outbox.Permanent(fmt.Errorf("post to %s: %w", to.Host, no))
	}
	return fmt.Errorf("post to %s: %w", to.Host, err)
}

// refused is the failure of an answer that is not 2xx.
func refused(to *url.URL, resp *http.Response, body []byte) error {
	f := &outbox.Failure{}
	status := resp.StatusCode
	text := fmt.Sprintf("post to %s: %d %s", to.Host, status, http.StatusText(status))
	switch {
	case status < 400:
		f.Permanent = true
		text += ": redirects are not followed, write the address itself"
	case status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooEarly && status != http.StatusTooManyRequests:
		f.Permanent = true
	}
	if !f.Permanent {
		f.After = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	const most = 200 // bytes of what it says
	if said := strings.ToValidUTF8(strings.Join(strings.Fields(string(body)), " "), "?"); said != "" {
		if len(said) > most {
			said = strings.ToValidUTF8(said[:most], "") + "…"
		}
		text += ": " + strconv.Quote(said)
	}
	f.Err = errors.New(text)
	return f
}

// retryAfter reads the header: seconds, or a date; 0 where it says nothing.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32); err == nil {
		return max(0, time.Duration(n)*time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
