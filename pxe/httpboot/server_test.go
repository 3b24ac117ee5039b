package httpboot

import (
	"bufio"
	"context"
	"io"
	"math/rand"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func random(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

// run serves until the test ends and returns the address.
func run(t testing.TB, s *Server, wrap func(net.Listener) net.Listener) string {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if wrap != nil {
		l = wrap(l)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return address
}

func newServer(f folder, cfg Config) *Server {
	s := New(cfg)
	s.Handle("/boot/", http.StripPrefix("/boot", FileHandler(f, f, nil)))
	return s
}

// TestSlowHeader: a client that never ends its header is dropped.
func TestSlowHeader(t *testing.T) {
	address := run(t, New(Config{HeaderTime: 50 * time.Millisecond}), nil)
	if got := raw(t, address, "GET / HTTP/1.1\r\nX: "); got != "" && !strings.Contains(got, "408") {
		t.Errorf("got %q, want the connection closed", got)
	}
}

// TestManyConnections: the connection after the last allowed one of a client is closed
// at once, and one that ends makes room.
func TestManyConnections(t *testing.T) {
	s := New(Config{MaxConnsEach: 2})
	s.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	address := run(t, s, nil)
	open := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	answered := func(c net.Conn) bool {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		line, _ := bufio.NewReader(c).ReadString('\n')
		return strings.Contains(line, "200")
	}
	first, second := open(), open()
	if !answered(first) || !answered(second) {
		t.Fatal("allowed connections were not answered")
	}
	if answered(open()) {
		t.Error("a third connection was answered")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !answered(open()); {
		if time.Now().After(deadline) {
			t.Fatal("no connection was answered after one ended")
		}
	}
}

// TestStop: a long poll ends with the server, a transfer may finish.
func TestStop(t *testing.T) {
	s := New(Config{})
	polling := make(chan struct{})
	s.Handle("/poll", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(polling)
		<-r.Context().Done()
		w.WriteHeader(http.StatusNoContent)
	}))
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	answer := make(chan string, 1)
	go func() { answer <- raw(t, l.Addr().String(), "GET /poll HTTP/1.1\r\nHost: x\r\n\r\n") }()
	<-polling
	cancel()
	if got := <-answer; !strings.Contains(got, "204") {
		t.Errorf("poll: %q", got)
	}
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

// TestPortTaken names the port and what to do.
func TestPortTaken(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = Listen(t.Context(), l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "stop it") {
		t.Errorf("got %v", err)
	}
}
