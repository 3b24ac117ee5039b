package dhcp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

const (
	// Two probes, each with this time for the answer; one in a full round: so many are
	// asked for then that the link is busy with us anyway.
	probes    = 2
	probeWait = 100 * time.Millisecond
	// burst probes are sent at a time, with a pause for everybody else on the link.
	burst = 32
	pause = time.Millisecond
)

// wireProber asks by ARP on the link (RFC 5227 section 2.1.1, with our waits: a client
// that gets the address probes again by itself), by ICMP echo behind a router.
type wireProber struct {
	after func(time.Duration) <-chan time.Time
}

func (p wireProber) InUse(ctx context.Context, link *Link, ips []netip.Addr) (map[netip.Addr]inventory.MAC, error) {
	open := func() (wire, error) { return openARP(link) }
	if link == nil {
		open = openEcho
	}
	w, err := open()
	if err != nil {
		return nil, fmt.Errorf("open address probe: %w", err)
	}
	q := inquiry{wire: w, after: p.after, found: make(chan answered, 64), asked: map[netip.Addr]bool{}, used: map[netip.Addr]inventory.MAC{}}
	go func() {
		defer close(q.found)
		w.answers(func(a answered) { q.found <- a })
	}()
	err = errors.Join(q.rounds(ctx, ips), w.Close())
	for a := range q.found {
		q.note(a)
	}
	return q.used, err
}

// inquiry is one call of InUse.
type inquiry struct {
	wire
	after func(time.Duration) <-chan time.Time
	// found closes when answers ends.
	found chan answered
	asked map[netip.Addr]bool
	used  map[netip.Addr]inventory.MAC
}

func (q *inquiry) rounds(ctx context.Context, ips []netip.Addr) error {
	for _, ip := range ips {
		q.asked[ip] = true
	}
	rounds := probes
	if len(ips) >= roundMax {
		rounds = 1
	}
	for range rounds {
		for i, ip := range ips {
			if _, ok := q.used[ip]; ok {
				continue
			}
			if err := q.ask(ip, uint16(i)); err != nil {
				return fmt.Errorf("probe %s: %w", ip, err)
			}
			if i%burst == burst-1 {
				q.collect(ctx, pause)
			}
		}
		q.collect(ctx, probeWait)
	}
	return ctx.Err()
}

// collect notes answers for a time.
func (q *inquiry) collect(ctx context.Context, d time.Duration) {
	for until := q.after(d); ; {
		select {
		case <-ctx.Done():
			return
		case <-until:
			return
		case a, ok := <-q.found:
			if !ok {
				return
			}
			q.note(a)
		}
	}
}

func (q *inquiry) note(a answered) {
	if q.asked[a.ip] {
		q.used[a.ip] = a.mac
	}
}

// wire is one way to ask for addresses.
type wire interface {
	ask(ip netip.Addr, seq uint16) error
	// answers calls f for every answer until Close.
	answers(f func(answered))
	Close() error
}

type answered struct {
	ip  netip.Addr
	mac inventory.MAC
}

// arpWire asks on a link.
type arpWire struct {
	*packetSocket
	mac []byte
}

func openARP(l *Link) (wire, error) {
	ifi, err := net.InterfaceByName(l.Name)
	if err != nil {
		return nil, err
	}
	sock, err := openPacketSocket(ifi.Index, unix.ETH_P_ARP)
	if err != nil {
		return nil, err
	}
	return arpWire{sock, l.MAC.Bytes()}, nil
}

func (w arpWire) ask(ip netip.Addr, _ uint16) error {
	return w.Send(arpProbe(w.mac, ip))
}

func (w arpWire) answers(f func(answered)) {
	buf := make([]byte, 128)
	for {
		n, err := w.file.Read(buf)
		if err != nil {
			return
		}
		if a, ok := parseARP(buf[:n]); ok {
			f(a)
		}
	}
}

// arpProbe is an ARP request with no sender address, so that no cache learns from it.
func arpProbe(mac []byte, ip netip.Addr) []byte {
	b := make([]byte, 42)
	copy(b[0:6], macBytes(broadcastMAC))
	copy(b[6:12], mac)
	binary.BigEndian.PutUint16(b[12:], unix.ETH_P_ARP)
	copy(b[14:22], []byte{0, 1, 8, 0, 6, 4, 0, 1})
	copy(b[22:28], mac)
	copy(b[38:42], ip.AsSlice())
	return b
}

// parseARP reads who uses an address: the sender of a reply or of any request.
func parseARP(b []byte) (answered, bool) {
	if len(b) < 42 || binary.BigEndian.Uint16(b[12:]) != unix.ETH_P_ARP || string(b[14:20]) != "\x00\x01\x08\x00\x06\x04" {
		return answered{}, false
	}
	ip := addr(b[28:32])
	mac, err := inventory.MACFrom(b[22:28])
	return answered{ip, mac}, err == nil && ip.IsValid()
}

// echoWire asks by ICMP echo.
type echoWire struct {
	*net.IPConn
	id uint16
}

func openEcho() (wire, error) {
	c, err := net.ListenIP("ip4:icmp", &net.IPAddr{})
	if err != nil {
		return nil, err
	}
	return echoWire{c, uint16(os.Getpid())}, nil
}

func (w echoWire) ask(ip netip.Addr, seq uint16) error {
	b := make([]byte, 16)
	b[0] = 8
	binary.BigEndian.PutUint16(b[4:], w.id)
	binary.BigEndian.PutUint16(b[6:], seq)
	binary.BigEndian.PutUint16(b[2:], checksum(0, b))
	_, err := w.WriteToIP(b, &net.IPAddr{IP: ip.AsSlice()})
	// No way there means that nobody answers from there.
	if errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) {
		return nil
	}
	return err
}

func (w echoWire) answers(f func(answered)) {
	buf := make([]byte, 1500)
	for {
		n, from, err := w.ReadFromIP(buf)
		if err != nil {
			return
		}
		if n >= 8 && buf[0] == 0 && binary.BigEndian.Uint16(buf[4:]) == w.id {
			f(answered{ip: addr(from.IP.To4())})
		}
	}
}
