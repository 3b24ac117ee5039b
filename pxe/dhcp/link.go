package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"

	"ingot/inventory"
)

// The UDP ports of the protocol.
const (
	serverPort = 67
	clientPort = 68
	pxePort    = 4011
)

// Conn is a UDP socket bound to one interface and port.
type Conn interface {
	// Read waits for a datagram; dest is the address it was sent to. After Stop it
	// returns net.ErrClosed.
	Read(buf []byte) (n int, source netip.AddrPort, dest netip.Addr, err error)
	// Write sends from the address source of the interface.
	Write(b []byte, source netip.Addr, dest netip.AddrPort) error
	// Stop ends reading; what is under way can still be answered.
	Stop() error
	Close() error
}

// Frames sends whole Ethernet frames: to clients that can't answer ARP yet.
type Frames interface {
	Send(frame []byte) error
	Close() error
}

// Link is one interface with its sockets. Open makes one of a real interface.
type Link struct {
	Name string
	// MAC is the interface's own hardware address.
	MAC inventory.MAC
	// MTU is in bytes.
	MTU int
	// DHCP is UDP 67, PXE is UDP 4011.
	DHCP, PXE Conn
	Frames    Frames
	// Sniffer hears other servers; nil means that nobody listens.
	Sniffer Sniffer
	// Shared names what else of this host listens on UDP 67 for every interface; such
	// a neighbour can't be found by probes.
	Shared string

	addrs atomic.Pointer[[]netip.Prefix]
	// refresh reads addrs again; nil when they don't change.
	refresh func() error
}

// SetAddrs replaces the interface's IPv4 addresses with the prefixes they stand in.
func (l *Link) SetAddrs(addrs []netip.Prefix) { l.addrs.Store(&addrs) }

// Addrs returns the interface's IPv4 addresses.
func (l *Link) Addrs() []netip.Prefix {
	if p := l.addrs.Load(); p != nil {
		return *p
	}
	return nil
}

func (l *Link) owns(ip netip.Addr) bool {
	for _, p := range l.Addrs() {
		if p.Addr() == ip {
			return true
		}
	}
	return false
}

// reaches reports whether clients of the subnet can be on this link.
func (l *Link) reaches(subnet netip.Prefix) bool {
	for _, p := range l.Addrs() {
		if subnet.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// address returns our address for clients of the subnet: the one the packet was sent
// to, one within the subnet, or the first. Zero when the interface has none.
func (l *Link) address(dest netip.Addr, subnet netip.Prefix) netip.Addr {
	if dest.IsValid() && l.owns(dest) {
		return dest
	}
	addrs := l.Addrs()
	for _, p := range addrs {
		if subnet.Contains(p.Addr()) {
			return p.Addr()
		}
	}
	if len(addrs) > 0 {
		return addrs[0].Addr()
	}
	return netip.Addr{}
}

// Close closes all sockets.
func (l *Link) Close() error {
	var first error
	for _, c := range []interface{ Close() error }{l.DHCP, l.PXE, l.Frames, l.Sniffer} {
		if c == nil {
			continue
		}
		if err := c.Close(); err != nil && !errors.Is(err, os.ErrClosed) && first == nil {
			first = fmt.Errorf("close socket on %s: %w", l.Name, err)
		}
	}
	return first
}

// frame builds an Ethernet, IPv4 and UDP frame around a payload.
func frame(dst, src inventory.MAC, from, to netip.AddrPort, payload []byte) []byte {
	const headers = 14 + 20 + 8
	b := make([]byte, headers+len(payload))
	copy(b[0:6], macBytes(dst))
	copy(b[6:12], macBytes(src))
	binary.BigEndian.PutUint16(b[12:], 0x0800)
	ip := b[14:34]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
	copy(ip[12:16], from.Addr().AsSlice())
	copy(ip[16:20], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip))
	udp := b[34:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	copy(udp[8:], payload)
	pseudo := sum(0, ip[12:20]) + 17 + uint32(8+len(payload))
	if c := checksum(pseudo, udp); c != 0 {
		binary.BigEndian.PutUint16(udp[6:], c)
	} else {
		binary.BigEndian.PutUint16(udp[6:], 0xffff)
	}
	return b
}

func macBytes(m inventory.MAC) []byte {
	if m == broadcastMAC {
		return []byte{255, 255, 255, 255, 255, 255}
	}
	return m.Bytes()
}

// broadcastMAC addresses every station of a link.
const broadcastMAC inventory.MAC = "ff:ff:ff:ff:ff:ff"

func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// checksum is the Internet checksum (RFC 1071).
func checksum(s uint32, b []byte) uint16 {
	s = sum(s, b)
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}
