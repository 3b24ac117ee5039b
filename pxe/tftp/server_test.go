package tftp

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// shelf serves files from memory and keeps what was reported.
type shelf struct {
	files map[string][]byte
	mu    sync.Mutex
	asked []Request
	ended chan Transfer
}

type memoryFile struct {
	*bytes.Reader
	size int64
}

func (memoryFile) Close() error       { return nil }
func (f memoryFile) SizeBytes() int64 { return f.size }

func (s *shelf) Open(_ context.Context, r Request) (File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	data, ok := s.files[r.Name]
	if !ok {
		return nil, inventory.NotFound("boot file", r.Name)
	}
	return memoryFile{bytes.NewReader(data), int64(len(data))}, nil
}

func (s *shelf) Transferred(t Transfer) {
	t.Duration = 0
	select {
	case s.ended <- t:
	default:
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

// startServer serves files on a loopback port until the test ends.
func startServer(t testing.TB, files map[string][]byte, change ...func(*Config)) (*shelf, netip.AddrPort) {
	t.Helper()
	s := &shelf{files: files, ended: make(chan Transfer, 1024)}
	cfg := Config{Files: s, Observer: s, Grace: time.Millisecond}
	for _, f := range change {
		f(&cfg)
	}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Listen("", netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx, conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s, conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (s *shelf) outcome(t testing.TB) Transfer {
	t.Helper()
	select {
	case tr := <-s.ended:
		return tr
	case <-time.After(20 * time.Second):
		t.Fatal("no outcome was reported")
		return Transfer{}
	}
}

// TestRealClients fetches files of awkward sizes with the clients that exist.
func TestRealClients(t *testing.T) {
	clients := []struct {
		name string
		args func(port, remote, local string) []string
	}{
		{"curl", func(port, remote, local string) []string {
			return []string{"curl", "-s", "-S", "-o", local, "tftp://127.0.0.1:" + port + "//" + remote}
		}},
		{"atftp", func(port, remote, local string) []string {
			return []string{"atftp", "--option", "blksize 1468", "--get", "-r", remote, "-l", local, "127.0.0.1", port}
		}},
		{"tftp", func(port, remote, local string) []string {
			return []string{"tftp", "-m", "binary", "127.0.0.1", port, "-c", "get", remote, local}
		}},
		{"busybox", func(port, remote, local string) []string {
			return []string{"busybox", "tftp", "-g", "-b", "1468", "-r", remote, "-l", local, "127.0.0.1", port}
		}},
	}
	sizes := []int{1, 511, 512, 1468, 1 << 20}
	files := map[string][]byte{}
	for _, n := range sizes {
		files[fmt.Sprintf("size-%d", n)] = random(n)
	}
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.name); err != nil {
				t.Skipf("no %s here: %v", c.name, err)
			}
			s, addr := startServer(t, files)
			for _, n := range sizes {
				name := fmt.Sprintf("size-%d", n)
				local := filepath.Join(t.TempDir(), name)
				args := c.args(fmt.Sprint(addr.Port()), "52-54-00-12-34-56/"+name, local)
				if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", args, err, out)
				}
				got, err := os.ReadFile(local)
				if err != nil || !bytes.Equal(got, files[name]) {
					t.Fatalf("%s: %d bytes differ from what is served (%v)", name, len(got), err)
				}
				tr := s.outcome(t)
				want := Transfer{Request: Request{Name: name, MAC: "52:54:00:12:34:56", Client: addr.Addr()},
					Outcome: inventory.FileDone, Bytes: int64(n), TotalBytes: int64(n), BlockBytes: tr.BlockBytes,
					Block: int64(n/tr.BlockBytes) + 1}
				if diff := cmp.Diff(want, tr, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
			}
		})
	}
}
