package httpboot

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// spy is a connection that tells what its ReadFrom was given.
type spy struct {
	*net.TCPConn
	seen *sources
}

type sources struct {
	mu    sync.Mutex
	types map[string]int
	// starts are the places where files were read from.
	starts []int64
}

func (s spy) ReadFrom(r io.Reader) (int64, error) {
	s.seen.mu.Lock()
	name := fmt.Sprintf("%T", r)
	if l, ok := r.(*io.LimitedReader); ok {
		name += fmt.Sprintf(" of %T", l.R)
		if at, err := l.R.(io.Seeker).Seek(0, io.SeekCurrent); err == nil {
			s.seen.starts = append(s.seen.starts, at)
		}
	}
	s.seen.types[name]++
	s.seen.mu.Unlock()
	return s.TCPConn.ReadFrom(r)
}

type spyListener struct {
	net.Listener
	seen *sources
}

func (l spyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return spy{c.(*net.TCPConn), l.seen}, nil
}

// TestZeroCopyPath: a file reaches the connection's ReadFrom as a file, through all
// layers; that is what net turns into sendfile.
func TestZeroCopyPath(t *testing.T) {
	data := random(3 * pieceBytes / 2)
	f := newFolder(t, map[string][]byte{"image": data})
	seen := &sources{types: map[string]int{}}
	address := run(t, newServer(f, Config{}), func(l net.Listener) net.Listener { return spyListener{l, seen} })
	resp, err := http.Get("http://" + address + "/boot/image")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil || !bytes.Equal(body, data) {
		t.Fatalf("%d bytes differ: %v", len(body), err)
	}
	if diff := cmp.Diff(map[string]int{"*io.LimitedReader of *os.File": 2}, seen.types); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{0, pieceBytes}, seen.starts); diff != "" {
		t.Errorf("pieces begin at (-want +got):\n%s", diff)
	}
}

// TestSendfile looks at the system calls themselves: the socket is corked, the file goes
// out, and the cork is taken out again; by this package's handler, and by one that others
// mount, as the images' is.
func TestSendfile(t *testing.T) {
	if path := os.Getenv("HTTPBOOT_SERVE"); path != "" {
		serveOnce(t, path)
		return
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skipf("needs strace: %v", err)
	}
	for _, path := range []string{"/boot/image", "/mounted/image"} {
		trace := filepath.Join(t.TempDir(), "trace")
		cmd := exec.Command("strace", "-f", "-e", "trace=sendfile,setsockopt", "-o", trace, os.Args[0], "-test.run=^TestSendfile$")
		cmd.Env = append(os.Environ(), "HTTPBOOT_SERVE="+path)
		if out, err := cmd.CombinedOutput(); err != nil {
			if strings.Contains(string(out), "PTRACE") || strings.Contains(string(out), "ptrace") {
				t.Skipf("tracing is not allowed here: %s", out)
			}
			t.Fatalf("%v\n%s", err, out)
		}
		calls, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		if !corked.Match(calls) || strings.Count(string(calls), "TCP_CORK, [1]") != 1 {
			t.Errorf("%s: not cork, sendfile, uncork:\n%s", path, calls)
		}
	}
}

var corked = regexp.MustCompile(`(?s)TCP_CORK, \[1\].*sendfile\(.*TCP_CORK, \[0\]`)

// serveOnce serves one file, of more than one piece, to a client that drops it.
func serveOnce(t *testing.T, path string) {
	t.Helper()
	const size = 2*pieceBytes + 1
	f := newFolder(t, map[string][]byte{"image": random(size)})
	s := newServer(f, Config{})
	s.Handle("/mounted/image", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, err := f.Open(r.Context(), Request{Name: "image"})
		if err != nil {
			t.Error(err)
			return
		}
		defer file.Content.Close()
		http.ServeContent(w, r, "", time.Time{}, file.Content)
	}))
	resp, err := http.Get("http://" + run(t, s, nil) + path)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil || resp.Body.Close() != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header { return d.header }

func (d *discard) WriteHeader(int) {}

func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// TestNextPiece: pieces grow for a client that is quick, and start anew for one that is
// not.
func TestNextPiece(t *testing.T) {
	for _, c := range []struct {
		piece int64
		took  time.Duration
		want  int64
	}{
		{pieceBytes, time.Millisecond, 2 * pieceBytes},
		{pieceBytes, quick, pieceBytes},
		{maxPieceBytes, time.Millisecond, maxPieceBytes},
		{maxPieceBytes, 2 * quick, pieceBytes},
	} {
		if got := nextPiece(c.piece, c.took); got != c.want {
			t.Errorf("a piece of %d bytes in %v: next %d, want %d", c.piece, c.took, got, c.want)
		}
	}
}
