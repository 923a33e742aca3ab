package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/connectors/outbox"
)

// Config is one receiver.
type Config struct {
	URL string // http or https
	// Headers are added to every request; those that this package sets cannot be.
	Headers map[string]string
	// Secrets sign the requests, each with a signature of its own: two while
	// one takes the other's place. `whsec_` and base64, or any text. None: no
	// signature.
	Secrets []string
	Client  *Client
}

// own are the headers that a config cannot set.
var own = []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "Idempotency-Key", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}

// New makes the sender of notes to one receiver. Its errors name no secret.
func New(c Config) (outbox.Deliver, error) {
	to, err := url.Parse(c.URL)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "" {
		return nil, errors.New("post alerts: the url is no address: for example https://example.org/hook")
	}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"leat"}, "Accept": {"*/*"}}
	for name, value := range c.Headers {
		if err := CheckHeader(name, value); err != nil {
			return nil, fmt.Errorf("post alerts: %w", err)
		}
		header.Set(name, value)
	}
	if to.User != nil && header.Get("Authorization") == "" {
		password, _ := to.User.Password()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(to.User.Username()+":"+password)))
	}
	to.User, to.Fragment = nil, ""
	var keys [][]byte
	for _, s := range c.Secrets {
		key, err := secretKey(s)
		if err != nil {
			return nil, fmt.Errorf("post alerts: %w", err)
		}
		keys = append(keys, key)
	}
	return func(ctx context.Context, n *outbox.Note) error {
		h := header.Clone()
		at := strconv.FormatInt(time.Now().Unix(), 10)
		h.Set("Idempotency-Key", n.ID)
		h.Set("Webhook-Id", n.ID)
		h.Set("Webhook-Timestamp", at)
		if len(keys) > 0 {
			h.Set("Webhook-Signature", Sign(keys, n.ID, at, n.Value))
		}
		_, err := c.Client.Post(ctx, to, h, n.Value)
		return err
	}, nil
}

// Sign is the value of webhook-signature: one signature for each key.
func Sign(keys [][]byte, id, at string, body []byte) string {
	var out []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		out = append(out, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(out, " ")
}

// CheckSecret tells what is wrong with a secret, without it.
func CheckSecret(secret string) error {
	_, err := secretKey(secret)
	return err
}

// secretKey is the key of a secret: what base64 says behind whsec_, or the text.
func secretKey(secret string) ([]byte, error) {
	text, coded := strings.CutPrefix(secret, "whsec_")
	key := []byte(text)
	if coded {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errors.New("a secret that begins with whsec_ is not base64 behind it")
		}
	}
	const least = 16 // bytes; the specification says 24
	if len(key) < least {
		return nil, fmt.Errorf("a secret has %d bytes, it needs at least %d", len(key), least)
	}
	return key, nil
}

// CheckHeader tells what is wrong with a header that a config sets.
func CheckHeader(name, value string) error {
	const marks = "!#$%&'*+-.^_`|~"
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(marks, c)) {
			return fmt.Errorf("header %q: no name of a header", name)
		}
	}
	if name == "" {
		return errors.New("a header has no name")
	}
	for _, taken := range own {
		if strings.EqualFold(taken, name) {
			return fmt.Errorf("header %s: it is set by the sender", name)
		}
	}
	for _, c := range []byte(value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("header %s: its value has control characters", name)
		}
	}
	return nil
}
