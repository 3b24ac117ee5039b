package httpboot

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// folder serves files of a directory and keeps what was reported.
type folder struct {
	dir   string
	ended chan Transfer
}

func (f folder) Open(_ context.Context, r Request) (File, error) {
	file, err := os.Open(filepath.Join(f.dir, filepath.FromSlash(r.Name)))
	if err != nil {
		return File{}, fmt.Errorf("%v: %w", err, inventory.ErrNotFound)
	}
	return File{Content: file, Modified: time.Unix(1700000000, 0), ETag: `"v1"`}, nil
}

func (f folder) Transferred(t Transfer) {
	t.Duration = 0
	f.ended <- t
}

func newFolder(t testing.TB, files map[string][]byte) folder {
	t.Helper()
	f := folder{t.TempDir(), make(chan Transfer, 100)}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(f.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f folder) outcome(t testing.TB) Transfer {
	t.Helper()
	select {
	case tr := <-f.ended:
		return tr
	case <-time.After(20 * time.Second):
		t.Fatal("no outcome was reported")
		return Transfer{}
	}
}

func TestFiles(t *testing.T) {
	data := random(100_000)
	f := newFolder(t, map[string][]byte{"kernel": data})
	address := run(t, newServer(f, Config{}), nil)
	tests := []struct {
		name, method, path string
		header             http.Header
		status             int
		body               []byte
		want               Transfer
	}{
		{name: "whole", path: "/boot/kernel", status: 200, body: data,
			want: Transfer{Request: Request{Name: "kernel"}, Outcome: inventory.FileDone, Bytes: 100_000, TotalBytes: 100_000}},
		{name: "double slashes", path: "//boot//kernel", status: 200, body: data,
			want: Transfer{Request: Request{Name: "kernel"}, Outcome: inventory.FileDone, Bytes: 100_000, TotalBytes: 100_000}},
		{name: "MAC folder", path: "/boot/52-54-00-12-34-56/kernel", status: 200, body: data,
			want: Transfer{Request: Request{Name: "kernel", MAC: "52:54:00:12:34:56"}, Outcome: inventory.FileDone, Bytes: 100_000, TotalBytes: 100_000}},
		{name: "range", path: "/boot/kernel", header: http.Header{"Range": {"bytes=1000-1999"}}, status: 206, body: data[1000:2000],
			want: Transfer{Request: Request{Name: "kernel"}, Outcome: inventory.FileDone, Bytes: 1000, TotalBytes: 1000, Range: "bytes=1000-1999"}},
		{name: "open range", path: "/boot/kernel", header: http.Header{"Range": {"bytes=99000-"}}, status: 206, body: data[99_000:],
			want: Transfer{Request: Request{Name: "kernel"}, Outcome: inventory.FileDone, Bytes: 1000, TotalBytes: 1000, Range: "bytes=99000-"}},
		{name: "range of a changed file", path: "/boot/kernel", status: 200, body: data,
			header: http.Header{"Range": {"bytes=0-9"}, "If-Range": {`"v0"`}},
			want:   Transfer{Request: Request{Name: "kernel"}, Outcome: inventory.FileDone, Bytes: 100_000, TotalBytes: 100_000, Range: "bytes=0-9"}},
		{name: "range beyond the end", path: "/boot/kernel", header: http.Header{"Range": {"bytes=200000-"}}, status: 416, body: nil,
			want: Transfer{Request: Request{Name: "kernel"}, Outcome: inventory.FileStopped, Range: "bytes=200000-"}},
		{name: "HEAD", method: "HEAD", path: "/boot/kernel", status: 200, body: []byte{},
			want: Transfer{Request: Request{Name: "kernel"}, Outcome: inventory.FileProbe, TotalBytes: 100_000}},
		{name: "not there", path: "/boot/initrd", status: 404,
			want: Transfer{Request: Request{Name: "initrd"}, Outcome: inventory.FileNotFound}},
		{name: "no listing", path: "/boot/", status: 404, want: Transfer{Outcome: inventory.FileNotFound}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, "http://"+address+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = tt.header
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.Body.Close() != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status {
				t.Fatalf("status %s, want %d", resp.Status, tt.status)
			}
			if tt.body != nil && !bytes.Equal(body, tt.body) {
				t.Errorf("got %d bytes, want %d or they differ", len(body), len(tt.body))
			}
			if resp.ContentLength < 0 {
				t.Error("no Content-Length")
			}
			got := f.outcome(t)
			tt.want.Client, tt.want.Status = got.Client, tt.status
			if got.Client != netip.MustParseAddr("127.0.0.1") {
				t.Errorf("client %s", got.Client)
			}
			if (got.Err != nil) != (tt.status >= 400) {
				t.Errorf("error %v with status %d", got.Err, tt.status)
			}
			got.Err = nil
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("transfer (-want +got):\n%s", diff)
			}
		})
	}
}

// raw sends bytes and returns the status line of the answer.
func raw(t testing.TB, address, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && err != io.EOF {
		t.Fatalf("no answer to %q: %v", text, err)
	}
	return strings.TrimSpace(line)
}

func TestHostilePaths(t *testing.T) {
	f := newFolder(t, map[string][]byte{"kernel": []byte("k")})
	address := run(t, newServer(f, Config{}), nil)
	for path, want := range map[string]string{
		"/boot/../kernel":            "HTTP/1.1 400 Bad Request",
		"/boot/%2e%2e/%2e%2e/passwd": "HTTP/1.1 400 Bad Request",
		"/boot/..%2fkernel":          "HTTP/1.1 400 Bad Request",
		"//..//boot/kernel":          "HTTP/1.1 400 Bad Request",
		"/boot/./kernel":             "HTTP/1.1 200 OK",
		"/boot///kernel":             "HTTP/1.1 200 OK",
		"/boot":                      "HTTP/1.1 307 Temporary Redirect",
		"/":                          "HTTP/1.1 404 Not Found",
	} {
		if got := raw(t, address, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := raw(t, address, "POST /boot/kernel HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); !strings.Contains(got, "405") {
		t.Errorf("POST: %q", got)
	}
}

// TestCut: a client that goes away in the middle is reported with what it got.
func TestCut(t *testing.T) {
	f := newFolder(t, map[string][]byte{"big": random(64 << 20)})
	address := run(t, newServer(f, Config{}), nil)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET /boot/big HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	got := f.outcome(t)
	if got.Outcome != inventory.FileStopped || got.Err == nil || got.Bytes < 1<<19 || got.Bytes >= 64<<20 || got.TotalBytes != 64<<20 {
		t.Errorf("transfer %+v", got)
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/boot/kernel", "//boot//./kernel", "/boot/../x", "/boot/52-54-00-12-34-56/k", "/boot/%2e%2e/", "/boot/\x00"} {
		f.Add(s)
	}
	files := newFolder(f, map[string][]byte{"kernel": []byte("k")})
	s := newServer(files, Config{})
	f.Fuzz(func(t *testing.T, path string) {
		req, err := http.NewRequest("GET", "http://x/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Path = path
		w := &discard{header: http.Header{}}
		s.ServeHTTP(w, req)
		for len(files.ended) > 0 {
			if tr := <-files.ended; strings.Contains("/"+tr.Name+"/", "/../") || strings.HasPrefix(tr.Name, "/") {
				t.Errorf("path %q opened %q", path, tr.Name)
			}
		}
	})
}
