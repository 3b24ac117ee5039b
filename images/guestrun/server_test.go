package guestrun

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dialServer starts a server that answers with the method, path and body, and connects
// as QEMU does.
func dialServer(t testing.TB) net.Conn {
	t.Helper()
	dir := t.TempDir()
	s, err := newServer(dir, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	}))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", filepath.Join(dir, serverSocket))
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() {
		conn.Close()
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// TestServer sends one request after the other on one stream, whatever they say of it.
func TestServer(t *testing.T) {
	conn := dialServer(t)
	in := bufio.NewReader(conn)
	for _, tt := range []struct{ request, want string }{
		{"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET /a "},
		{"POST /b HTTP/1.0\r\nContent-Length: 3\r\n\r\nxyz", "POST /b xyz"},
		{"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "POST /c hi"},
	} {
		if _, err := io.WriteString(conn, tt.request); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%q: %v", tt.request, err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != tt.want || r.ContentLength != int64(len(tt.want)) {
			t.Errorf("%q: %q of length %d, %v; want %q", tt.request, body, r.ContentLength, err, tt.want)
		}
	}
}

// TestHostileServerClient checks that a stream of nonsense is closed.
func TestHostileServerClient(t *testing.T) {
	for name, text := range map[string]string{
		"no HTTP":              "hello\r\n\r\n",
		"headers for ever":     "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", maxRequestBytes),
		"a body too large":     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + strings.Repeat("x", 2*maxRequestBytes),
		"a negative length":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"chunks for ever":      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", maxRequestBytes),
		"an end in the middle": "GET / HTTP/1.1\r\nHos",
	} {
		conn := dialServer(t)
		_, _ = io.WriteString(conn, text) // it may be closed before the end
		_ = conn.(*net.UnixConn).CloseWrite()
		if got, err := io.ReadAll(conn); strings.Contains(string(got), "200 OK") || err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: answered %.80q, %v", name, got, err)
		}
	}
}
