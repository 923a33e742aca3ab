package kafka

import (
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// A wrong setting is refused with its name, before anything is dialled.
func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "no broker address"},
		{Config{Brokers: []string{"b:1"}, Compression: "rar"}, `compression "rar"`},
		{Config{Brokers: []string{"b:1"}, SASL: SASL{Mechanism: "PLAIN"}}, "username and a password"},
		{Config{Brokers: []string{"b:1"}, SASL: SASL{Mechanism: "X", Username: "u", Password: "p"}}, `mechanism "X"`},
		{Config{Brokers: []string{"b:1"}, TLS: TLS{Enabled: true, CAFile: "/does/not/exist"}}, "read tls ca"},
		{Config{Brokers: []string{"b:1"}, TLS: TLS{Enabled: true, CertFile: "/does/not/exist"}}, "read tls certificate"},
	} {
		_, err := NewCluster(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || engine.KindOf(err) != engine.Environment {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
	if _, err := NewSession(Config{Brokers: []string{"b:1"}}, SessionConfig{Group: "g", Topics: []engine.Topic{"in"}}); err == nil || !strings.Contains(err.Error(), "transactional id") {
		t.Error(err)
	}
}
