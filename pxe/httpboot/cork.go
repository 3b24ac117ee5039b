package httpboot

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// A connection is corked (tcp(7), TCP_CORK) from the first piece of a file to the end of
// its request, whoever serves the file: the images' handler is not this package's.
// sendfile(2) gives the kernel 64 KiB at a time, which no segment size divides, and
// without Nagle's algorithm, as Go opens sockets, what is left over leaves each time in a
// short segment of its own.
type cork struct{ raw syscall.RawConn }

type corkKey struct{}

// withCork is an http.Server's ConnContext.
func withCork(ctx context.Context, c net.Conn) context.Context {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return ctx
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, corkKey{}, cork{raw})
}

// corkOf is the cork of a request's connection; without one (a test recorder) it does
// nothing.
func corkOf(ctx context.Context) cork {
	c, _ := ctx.Value(corkKey{}).(cork)
	return c
}

// in holds short segments back; out sends them. A socket that refuses serves as well,
// only slower.
func (c cork) in()  { c.set(1) }
func (c cork) out() { c.set(0) }

func (c cork) set(value int) {
	if c.raw != nil {
		_ = c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, value) })
	}
}
