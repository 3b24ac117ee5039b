package httpboot

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFit: a client that is near gets the small send buffer, another one keeps what the
// kernel gave it. How near a client on this host is depends on how busy the host is.
func TestFit(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 20 {
		client, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s := socketOf(withSocket(context.Background(), c))
		before, _ := sendBuffer(t, s)
		s.fit()
		after, rtt := sendBuffer(t, s)
		if rtt != 0 && rtt < near && after > 2*nearBufferBytes {
			t.Errorf("%v away: %d bytes of send buffer", rtt, after)
		}
		if (rtt == 0 || rtt >= near) && after != before {
			t.Errorf("%v away: %d bytes of send buffer, had %d", rtt, after, before)
		}
	}
}

// sendBuffer is a socket's send buffer in bytes and its least round trip.
func sendBuffer(t *testing.T, s socket) (bytes int, rtt time.Duration) {
	t.Helper()
	err := s.raw.Control(func(fd uintptr) {
		var err error
		if bytes, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF); err != nil {
			t.Error(err)
		}
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Error(err)
			return
		}
		rtt = time.Duration(info.Min_rtt) * time.Microsecond
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes, rtt
}

// TestNoSocket: what has no connection is served all the same.
func TestNoSocket(t *testing.T) {
	s := socketOf(context.Background())
	s.fit()
	s.cork()
	s.uncork()
}
