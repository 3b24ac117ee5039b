package tftp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// rawClient speaks TFTP by hand.
type rawClient struct {
	t    testing.TB
	conn *net.UDPConn
	to   netip.AddrPort
	// tid is where the last packet came from.
	tid netip.AddrPort
}

func newRawClient(t testing.TB, to netip.AddrPort) *rawClient {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &rawClient{t: t, conn: conn, to: to}
}

func (c *rawClient) ask(fields ...string) {
	c.send(c.to, append([]byte{0, 1}, strings.Join(fields, "\x00")+"\x00"...))
}

func (c *rawClient) send(to netip.AddrPort, b []byte) {
	if _, err := c.conn.WriteToUDPAddrPort(b, to); err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) receive() []byte {
	c.t.Helper()
	buf := make([]byte, 2048)
	if err := c.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	n, from, err := c.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		c.t.Fatal(err)
	}
	c.tid = from
	return buf[:n]
}

func TestOptions(t *testing.T) {
	_, addr := startServer(t, map[string][]byte{"f": random(5000)})
	tests := []struct {
		name string
		ask  []string
		want map[string]string // nil: DATA at once
	}{
		{"none asked, none granted", []string{"f", "octet"}, nil},
		{"block size", []string{"f", "octet", "blksize", "1024"}, map[string]string{"blksize": "1024"}},
		{"block size is capped", []string{"f", "octet", "blksize", "65464"}, map[string]string{"blksize": "1468"}},
		{"size", []string{"f", "octet", "tsize", "0"}, map[string]string{"tsize": "5000"}},
		{"UEFI", []string{"f", "octet", "tsize", "0", "blksize", "1468", "windowsize", "4"},
			map[string]string{"tsize": "5000", "blksize": "1468"}},
		{"unknown", []string{"f", "octet", "multicast", ""}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newRawClient(t, addr)
			c.ask(tt.ask...)
			b := c.receive()
			var got map[string]string
			if b[1] == 6 {
				got = map[string]string{}
				fields := strings.Split(strings.TrimSuffix(string(b[2:]), "\x00"), "\x00")
				for i := 0; i+1 < len(fields); i += 2 {
					got[fields[i]] = fields[i+1]
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("options granted (-want +got):\n%s", diff)
			}
			c.send(c.tid, []byte{0, 5, 0, 0, 0})
		})
	}
}

func TestOutcomes(t *testing.T) {
	tests := []struct {
		name string
		run  func(c *rawClient)
		want Transfer
	}{
		{"UEFI's size probe", func(c *rawClient) {
			c.ask("f", "octet", "tsize", "0", "blksize", "1468")
			c.receive()
			c.send(c.tid, append([]byte{0, 5, 0, 8}, "User aborted the transfer\x00"...))
		}, Transfer{Request: Request{Name: "f"}, Outcome: inventory.FileProbe, TotalBytes: 5000}},
		{"not found", func(c *rawClient) {
			c.ask("/no/such//file", "octet")
			if b := c.receive(); b[1] != 5 || b[3] != 1 {
				c.t.Errorf("got %q, want error code 1", b)
			}
		}, Transfer{Request: Request{Name: "no/such/file"}, Outcome: inventory.FileNotFound}},
		{"climbs out", func(c *rawClient) {
			c.ask("../../etc/shadow", "octet")
			if b := c.receive(); b[1] != 5 {
				c.t.Errorf("got %q, want an error", b)
			}
		}, Transfer{Request: Request{Name: "../../etc/shadow"}, Outcome: inventory.FileNotFound}},
		{"stopped by the client", func(c *rawClient) {
			c.ask("f", "octet", "blksize", "1000")
			c.receive()
			c.send(c.tid, []byte{0, 4, 0, 0})
			for block := range 2 {
				c.receive()
				c.send(c.tid, []byte{0, 4, 0, byte(block + 1)})
			}
			c.receive()
			c.send(c.tid, append([]byte{0, 5, 0, 3}, "disk full\x00"...))
		}, Transfer{Request: Request{Name: "f"}, Outcome: inventory.FileStopped, Bytes: 2000, Block: 2, BlockBytes: 1000, TotalBytes: 5000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := startServer(t, map[string][]byte{"f": random(5000)})
			tt.run(newRawClient(t, addr))
			got := s.outcome(t)
			got.Client = netip.Addr{}
			if (got.Err != nil) != (tt.want.Outcome == inventory.FileStopped || tt.want.Outcome == inventory.FileNotFound) {
				t.Errorf("error %v with outcome %s", got.Err, got.Outcome)
			}
			got.Err = nil
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWriteRefused: nothing can be uploaded.
func TestWriteRefused(t *testing.T) {
	_, addr := startServer(t, nil)
	c := newRawClient(t, addr)
	c.send(addr, []byte("\x00\x02f\x00octet\x00"))
	if b := c.receive(); b[1] != 5 {
		t.Errorf("got %q, want an error", b)
	}
}

// TestRetransmit: a lost packet is sent again within a second.
func TestRetransmit(t *testing.T) {
	_, addr := startServer(t, map[string][]byte{"f": random(100)})
	c := newRawClient(t, addr)
	c.ask("f", "octet")
	first := c.receive()
	start := time.Now()
	if again := c.receive(); !bytes.Equal(first, again) {
		t.Fatalf("got %q again, want %q", again, first)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("sent again after %v", d)
	}
	c.send(c.tid, []byte{0, 4, 0, 1})
}

// TestRepeatedRequest: a client that repeats its request takes one of the two answers;
// the other is no failure.
func TestRepeatedRequest(t *testing.T) {
	s, addr := startServer(t, map[string][]byte{"f": random(100)})
	c := newRawClient(t, addr)
	c.ask("f", "octet", "tsize", "0")
	c.ask("f", "octet", "tsize", "0")
	c.receive()
	first := c.tid
	c.receive()
	if c.tid == first {
		t.Fatal("one transfer for two requests")
	}
	c.send(c.tid, []byte{0, 5, 0, 5, 0})
	c.send(first, []byte{0, 4, 0, 0})
	for b := c.receive(); b[1] != 3; b = c.receive() {
	}
	c.send(first, []byte{0, 4, 0, 1})
	if got := s.outcome(t); got.Outcome != inventory.FileDone {
		t.Errorf("outcome %s, want done: %v", got.Outcome, got.Err)
	}
}

func TestTooManyTransfers(t *testing.T) {
	s, addr := startServer(t, map[string][]byte{"f": random(5000)}, func(c *Config) { c.MaxTransfers = 1 })
	first := newRawClient(t, addr)
	first.ask("f", "octet")
	first.receive()
	second := newRawClient(t, addr)
	second.ask("f", "octet")
	if b := second.receive(); b[1] != 5 {
		t.Errorf("got %q, want an error", b)
	}
	if got := s.outcome(t); !errors.Is(got.Err, inventory.ErrBusy) {
		t.Errorf("outcome %+v, want busy", got)
	}
	first.send(first.tid, []byte{0, 5, 0, 0, 0})
}

// FuzzPackets sends any bytes as a request and as the answer to what comes back; then
// the server must still serve.
func FuzzPackets(f *testing.F) {
	for _, b := range []string{
		"\x00\x01f\x00octet\x00", "\x00\x01f\x00octet\x00tsize\x000\x00blksize\x001468\x00", "\x00\x02f\x00octet\x00",
		"\x00\x01", "\x00\x01f", "", "\x00\x03\x00\x01", "\x00\x05\x00\x08x\x00", "\x00\x06blksize\x001\x00", "\xff\xff\xff\xff",
		"\x00\x01f\x00netascii\x00blksize\x00" + strings.Repeat("0", 400) + "512\x00tsize\x000\x00",
		"\x00\x01f\x00octet\x00blksize\x00-1\x00", "\x00\x01" + strings.Repeat("f", 510),
	} {
		f.Add([]byte(b), []byte("\x00\x05\x00\x08\x00"))
	}
	s, addr := startServer(f, map[string][]byte{"f": random(3000), "ok": []byte("ok")})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		hostile := newRawClient(t, addr)
		if len(first) > 1400 || len(second) > 1400 {
			t.Skip("longer than a frame")
		}
		hostile.send(addr, first)
		good := newRawClient(t, addr)
		good.ask("ok", "octet")
		if b := good.receive(); string(b) != "\x00\x03\x00\x01ok" {
			t.Fatalf("got %q after %q", b, first)
		}
		good.send(good.tid, []byte{0, 4, 0, 1})
		buf := make([]byte, 2048)
		_ = hostile.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, from, err := hostile.conn.ReadFromUDPAddrPort(buf); err == nil {
			hostile.send(from, second)
			hostile.send(from, []byte{0, 5, 0, 0, 0})
		}
		for len(s.ended) > 0 {
			<-s.ended
		}
	})
}
