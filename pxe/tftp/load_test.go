package tftp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestLoad measures transfers in lockstep, blocks of 1468 bytes: TFTP_LOAD_CLIENTS at
// once, each of TFTP_LOAD_FILE once, from TFTP_LOAD_SERVER: another server's address, or
// empty for our own in a process of its own, which serves the files of this machine.
func TestLoad(t *testing.T) {
	path := os.Getenv("TFTP_LOAD_FILE")
	if path == "" {
		t.Skip("a measurement, not a test: set TFTP_LOAD_FILE")
	}
	if os.Getenv("TFTP_LOAD_SERVE") != "" {
		serveLoad(t)
		return
	}
	clients, err := strconv.Atoi(os.Getenv("TFTP_LOAD_CLIENTS"))
	if err != nil {
		clients = 1
	}
	server := os.Getenv("TFTP_LOAD_SERVER")
	if server == "" {
		server = startLoad(t)
	}
	to := netip.MustParseAddrPort(server)
	start := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := int64(0)
	for range clients {
		wg.Go(func() {
			n, err := fetch(to, path)
			mu.Lock()
			defer mu.Unlock()
			if total += n; err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fmt.Printf("load: %.1f MB/s (%d bytes)\n", float64(total)/1e6/time.Since(start).Seconds(), total)
}

// tree serves the files of this machine, as package pxe serves those of a boot set.
type tree struct{ shared Shared }

func (f *tree) Open(_ context.Context, r Request) (File, error) {
	file, err := os.Open("/" + r.Name)
	if err != nil {
		return nil, err
	}
	return f.shared.File(file)
}

// serveLoad serves until standard input ends.
func serveLoad(t *testing.T) {
	_, at := startServer(t, nil, func(cfg *Config) { cfg.Files = new(tree) })
	fmt.Printf("serving %s\n", at)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Fatal(err)
	}
}

// startLoad runs serveLoad in another process and returns its address.
func startLoad(t *testing.T) string {
	cmd := exec.Command(os.Args[0], "-test.run=^TestLoad$")
	cmd.Env = append(os.Environ(), "TFTP_LOAD_SERVE=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if at, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			return at
		}
	}
	t.Fatal("the server did not start")
	return ""
}

// fetch gets a file and drops it.
func fetch(to netip.AddrPort, name string) (total int64, err error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	send := append([]byte{0, 1}, bytes.Join([][]byte{[]byte(name), []byte("octet"), []byte("blksize"), []byte("1468"), nil}, []byte{0})...)
	ack := make([]byte, 4)
	buf := make([]byte, 2048)
	for want := uint16(0); ; {
		if _, err := conn.WriteToUDPAddrPort(send, to); err != nil {
			return total, err
		}
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			return total, err
		}
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return total, fmt.Errorf("block %d: %w", want, err)
		}
		switch op := binary.BigEndian.Uint16(buf); {
		case op == 6 && want == 0 && string(buf[2:n]) == "blksize\x001468\x00":
			copy(ack, []byte{0, 4, 0, 0})
		case op == 3 && binary.BigEndian.Uint16(buf[2:]) == want:
			total += int64(n - 4)
			binary.BigEndian.PutUint16(ack[2:], want)
			if n < 1468+4 {
				_, err := conn.WriteToUDPAddrPort(ack, from)
				return total, err
			}
		default:
			return total, fmt.Errorf("unexpected packet %q", buf[:min(n, 40)])
		}
		to, send = from, ack
		want++
	}
}
