package main

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// An address that cannot be listened on says which flag gives another.
func TestListenOn(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for asked, want := range map[string]string{
		taken.Addr().String(): "another program does; choose another address with --http",
		"localhost":           `--http (or listen.http) is HOST:PORT, as in 127.0.0.1:8080, not "localhost"`,
	} {
		_, err := listenOn(asked, defaultHTTP, "http")
		var c coded
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &c) {
			t.Errorf("%s: got %v, want %s", asked, err, want)
		}
	}
	l, err := listenOn("", taken.Addr().String(), "http") // a default gives way to a free port
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
