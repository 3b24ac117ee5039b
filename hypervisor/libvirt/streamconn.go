package libvirt

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// The head of a packet (libvirt's virnetprotocol.x): length, program, version, procedure,
// type, serial, status, each of four bytes.
const (
	packetHead     = 28
	packetMax      = 64 << 20
	fieldType      = 16
	fieldSerial    = 20
	fieldStatus    = 24
	typeReply      = 1
	typeStream     = 3
	statusContinue = 2
)

// streamConn is a connection for one stream, put right for the binding, which would stand
// still for ever with a lock held:
//   - libvirtd may send the first data before the reply to the call, from another thread.
//     The binding takes them for the reply, and the reply for the end. So they wait here.
//   - The binding returns at the packet that ends a stream, and blocks on any that comes
//     after. So this one is the last.
type streamConn struct {
	net.Conn
	in *bufio.Reader
	// now is what is left to be read of packets, early what came before its reply.
	now, early []byte
	replied    map[uint32]bool
	over       bool
}

// streaming makes a dialer for connections that carry one stream.
func streaming(dial dialFunc) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return &streamConn{Conn: conn, in: bufio.NewReader(conn), replied: map[uint32]bool{}}, nil
	}
}

// Read implements net.Conn.
func (c *streamConn) Read(b []byte) (int, error) {
	for len(c.now) == 0 {
		if c.over && len(c.early) == 0 {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.now)
	c.now = c.now[n:]
	return n, nil
}

// next takes a packet in.
func (c *streamConn) next() error {
	head, err := c.in.Peek(packetHead)
	if err != nil {
		return err
	}
	field := func(at int) uint32 { return binary.BigEndian.Uint32(head[at:]) }
	size, kind, serial, status := field(0), field(fieldType), field(fieldSerial), field(fieldStatus)
	if size < packetHead || size > packetMax {
		return fmt.Errorf("libvirt: packet of %d bytes", size)
	}
	packet := make([]byte, size)
	if _, err := io.ReadFull(c.in, packet); err != nil {
		return err
	}
	if kind == typeStream && !c.replied[serial] {
		c.early = append(c.early, packet...)
		c.endsWith(size, status)
		return nil
	}
	c.now = packet
	switch kind {
	case typeReply:
		c.replied[serial] = true
		c.now, c.early = append(c.now, c.early...), nil
	case typeStream:
		c.endsWith(size, status)
	}
	return nil
}

// endsWith notes the packet that ends the stream: an empty one, or one that says so.
func (c *streamConn) endsWith(size, status uint32) {
	c.over = c.over || status != statusContinue || size == packetHead
}
