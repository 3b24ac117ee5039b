package httpboot

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socket is what the kernel is told about the connection of a request that sends a
// file, whoever serves the file: the images' handler is not this package's. One that
// refuses serves as well, only slower.
type socket struct{ raw syscall.RawConn }

type socketKey struct{}

// withSocket is an http.Server's ConnContext.
func withSocket(ctx context.Context, c net.Conn) context.Context {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return ctx
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, socketKey{}, socket{raw})
}

// socketOf is the socket of a request's connection; without one (a test recorder) it
// does nothing.
func socketOf(ctx context.Context) socket {
	s, _ := ctx.Value(socketKey{}).(socket)
	return s
}

// cork holds short segments back (tcp(7), TCP_CORK) from the first piece of a file to the
// end of its request, where uncork sends them. sendfile(2) gives the kernel 64 KiB at a
// time, which no segment size divides, and without Nagle's algorithm, as Go opens sockets,
// what is left over leaves each time in a short segment of its own.
func (s socket) cork()   { s.setCork(1) }
func (s socket) uncork() { s.setCork(0) }

const (
	// near is the round trip of a client on this host, in one of its virtual machines
	// or on the same switch.
	near = 250 * time.Microsecond
	// nearBufferBytes is what may be on its way to a near client. The kernel doubles it
	// for its own books (socket(7), SO_SNDBUF): 500 kB within near are 16 Gbit/s.
	nearBufferBytes = 250_000
)

// fit keeps the send buffer of a near client small. The kernel lets it grow to
// 4 MiB, and for want of distance all of that waits in the client's queue: it leaves the
// processor's cache, and each segment wakes the client for itself. A client farther off
// needs the large one.
func (s socket) fit() {
	if s.raw == nil {
		return
	}
	_ = s.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil && info.Min_rtt != 0 && time.Duration(info.Min_rtt)*time.Microsecond < near {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, nearBufferBytes)
		}
	})
}

func (s socket) setCork(value int) {
	if s.raw != nil {
		_ = s.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, value) })
	}
}
