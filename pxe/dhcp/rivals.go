package dhcp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sync/errgroup"

	"ingot/inventory"
)

// OtherServer is an OFFER or ACK that another server sent on a link.
type OtherServer struct {
	// IP is the server identifier (option 54), or the packet's source.
	IP  netip.Addr
	MAC inventory.MAC
	// Client is whom it answered; Given the address it gave, zero for a proxy.
	Client inventory.MAC
	Given  netip.Addr
}

// Sniffer asks a link for servers and hears their answers. OpenSniffer makes one.
type Sniffer interface {
	// Discover sends a DISCOVER of our own.
	Discover() error
	// Next waits for an answer of any server to any client; net.ErrClosed after Close.
	Next() (OtherServer, error)
	Close() error
}

// Probing is how to look for other servers. The zero value is three DISCOVERs in 30
// seconds.
type Probing struct {
	Tries  int
	Within time.Duration
	// After nil means time.After.
	After func(time.Duration) <-chan time.Time
}

// ProbeServers sends DISCOVERs on an interface and returns the servers that give
// addresses there, as soon as it hears one; none is an empty result after all tries.
func ProbeServers(ctx context.Context, ifname string, p Probing) ([]OtherServer, error) {
	sniffer, err := OpenSniffer(ifname)
	if err != nil {
		return nil, err
	}
	found, err := Probe(ctx, sniffer, p)
	if err != nil {
		return nil, fmt.Errorf("probe %s for DHCP servers: %w", ifname, err)
	}
	return found, nil
}

// Probe is ProbeServers on a sniffer, which it closes.
func Probe(ctx context.Context, sniffer Sniffer, p Probing) ([]OtherServer, error) {
	if p.Tries == 0 {
		p.Tries = 3
	}
	if p.Within == 0 {
		p.Within = 30 * time.Second
	}
	if p.After == nil {
		p.After = time.After
	}
	heard := make(chan OtherServer, 16)
	var listening errgroup.Group
	listening.Go(func() error { defer close(heard); return listen(sniffer, heard) })
	found, err := ask(ctx, sniffer, p, heard)
	err = errors.Join(err, sniffer.Close())
	for o := range heard {
		found = append(found, o)
	}
	return found, errors.Join(err, listening.Wait())
}

func ask(ctx context.Context, sniffer Sniffer, p Probing, heard <-chan OtherServer) ([]OtherServer, error) {
	for range p.Tries {
		if err := sniffer.Discover(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case o, ok := <-heard:
			if ok {
				return []OtherServer{o}, nil
			}
			return nil, fmt.Errorf("listening ended early")
		case <-p.After(p.Within / time.Duration(p.Tries)):
		}
	}
	return nil, nil
}

// listen passes on servers that give addresses; what finds no place is dropped.
func listen(sniffer Sniffer, heard chan<- OtherServer) error {
	for {
		o, err := sniffer.Next()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if !o.Given.IsValid() {
			continue
		}
		select {
		case heard <- o:
		default:
		}
	}
}

// parseReplyFrame reads an Ethernet frame that carries a server's OFFER or ACK.
func parseReplyFrame(b []byte) (OtherServer, bool) {
	if len(b) < 14+20+8 || binary.BigEndian.Uint16(b[12:]) != 0x0800 || b[14]>>4 != 4 || b[23] != 17 {
		return OtherServer{}, false
	}
	header := int(b[14]&15) * 4
	if header < 20 || len(b) < 14+header+8 || binary.BigEndian.Uint16(b[20:])&0x1fff != 0 {
		return OtherServer{}, false
	}
	udp := b[14+header:]
	if binary.BigEndian.Uint16(udp[2:]) != clientPort {
		return OtherServer{}, false
	}
	msg, err := dhcpv4.FromBytes(udp[8:])
	if err != nil || msg.OpCode != dhcpv4.OpcodeBootReply {
		return OtherServer{}, false
	}
	if kind := msg.MessageType(); kind != dhcpv4.MessageTypeOffer && kind != dhcpv4.MessageTypeAck {
		return OtherServer{}, false
	}
	o := OtherServer{IP: addr(msg.Options.Get(dhcpv4.OptionServerIdentifier)), Given: addr(msg.YourIPAddr)}
	if !o.IP.IsValid() {
		o.IP = addr(b[26:30])
	}
	o.MAC, _ = inventory.MACFrom(b[6:12])             // zero when it is none
	o.Client, _ = inventory.MACFrom(msg.ClientHWAddr) // the same
	return o, o.IP.IsValid()
}

// discoverFrame is a DISCOVER of ours that asks for a broadcast answer.
func discoverFrame(mac inventory.MAC, xid [4]byte) []byte {
	msg := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, HWType: 1, TransactionID: xid,
		ClientHWAddr: mac.Bytes(), ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero,
		ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero, Options: dhcpv4.Options{}}
	msg.SetBroadcast()
	msg.Options[dhcpv4.OptionDHCPMessageType.Code()] = []byte{byte(dhcpv4.MessageTypeDiscover)}
	msg.Options[dhcpv4.OptionParameterRequestList.Code()] = []byte{1, 3, 6}
	return frame(broadcastMAC, mac, netip.AddrPortFrom(netip.IPv4Unspecified(), clientPort),
		netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), serverPort), msg.ToBytes())
}

// rivalry is what is known of other servers on one network.
type rivalry struct {
	seen map[netip.Addr]time.Time
	told map[netip.Addr]bool
}

// rivalSilences is how many intervals of WatchEvery a server must be silent to count
// as gone.
const rivalSilences = 3

// pausedBy returns the other server because of which new leases wait, zero if none.
// The caller holds the lock.
func (s *Server) pausedBy(network string, now time.Time) netip.Addr {
	b, r := s.byName[network], s.rivals[network]
	if r == nil || b == nil || b.net.DHCP != inventory.DHCPAuthoritative || b.net.SoleAuthority {
		return netip.Addr{}
	}
	for ip, last := range r.seen {
		if now.Sub(last) <= rivalSilences*s.cfg.WatchEvery {
			return ip
		}
	}
	return netip.Addr{}
}

// watch asks a link for other servers now and then, and listens all the time.
func (s *Server) watch(ctx context.Context, l *Link) error {
	if l.Sniffer == nil {
		return nil
	}
	heard := make(chan OtherServer, 64)
	var listening errgroup.Group
	listening.Go(func() error { defer close(heard); return listen(l.Sniffer, heard) })
	err := s.watchLoop(ctx, l, heard)
	err = errors.Join(err, l.Sniffer.Close())
	if e := listening.Wait(); e != nil {
		err = errors.Join(err, fmt.Errorf("watch %s for DHCP servers: %w", l.Name, e))
	}
	return err
}

func (s *Server) watchLoop(ctx context.Context, l *Link, heard <-chan OtherServer) error {
	for {
		if err := l.Sniffer.Discover(); err != nil {
			s.logOnce("discover "+l.Name, "send probe for other DHCP servers", "interface", l.Name, "err", err)
		}
		next := s.cfg.After(s.cfg.WatchEvery)
	waiting:
		for {
			select {
			case <-ctx.Done():
				return nil
			case o, ok := <-heard:
				if !ok {
					return nil
				}
				s.heard(l, o)
			case <-next:
				break waiting
			}
		}
		s.forgetRivals()
		s.refreshLink(l)
	}
}

// refreshLink follows changes of the interface's addresses.
func (s *Server) refreshLink(l *Link) {
	if l.refresh == nil {
		return
	}
	if err := l.refresh(); err != nil {
		s.logOnce("refresh "+l.Name, "read interface addresses", "interface", l.Name, "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.books {
		b.setOwn(s.ownAddrs())
	}
}

// heard notes another server on the networks of a link.
func (s *Server) heard(l *Link, o OtherServer) {
	now := s.cfg.Now()
	var events []inventory.Payload
	s.mu.Lock()
	for _, own := range s.ownAddrs() {
		if own == o.IP {
			s.mu.Unlock()
			return
		}
	}
	for _, b := range s.books {
		if !l.reaches(b.net.Subnet) || b.net.DHCP == inventory.DHCPOff {
			continue
		}
		r := s.rivals[b.net.Name]
		if r == nil {
			r = &rivalry{map[netip.Addr]time.Time{}, map[netip.Addr]bool{}}
			s.rivals[b.net.Name] = r
		}
		if len(r.seen) >= 64 && r.seen[o.IP].IsZero() {
			continue
		}
		r.seen[o.IP] = now
		if !r.told[o.IP] {
			r.told[o.IP] = true
			paused := s.pausedBy(b.net.Name, now).IsValid()
			events = append(events, inventory.OtherDHCP{Network: b.net.Name, Server: o.IP, Paused: paused})
		}
	}
	s.mu.Unlock()
	for _, e := range events {
		s.announce(e)
	}
	s.cfg.Observer.Saw(inventory.Sighting{MAC: o.Client, Kind: inventory.SawOtherServer, Detail: o.IP.String(),
		Count: 1, First: now, Last: now, Values: inventory.SightingValues{IP: o.Given.String()}})
}

// forgetRivals drops servers that fell silent, and says that leases are given again.
func (s *Server) forgetRivals() {
	now := s.cfg.Now()
	var events []inventory.Payload
	s.mu.Lock()
	for name, r := range s.rivals {
		for ip, last := range r.seen {
			if now.Sub(last) <= rivalSilences*s.cfg.WatchEvery {
				continue
			}
			delete(r.seen, ip)
			delete(r.told, ip)
			if b := s.byName[name]; b != nil {
				events = append(events, inventory.DHCPModeChanged{Network: name, Mode: b.net.DHCP,
					Why: fmt.Sprintf("DHCP server %s is silent since %s", ip, last.Format(time.RFC3339))})
			}
		}
	}
	s.mu.Unlock()
	for _, e := range events {
		s.announce(e)
	}
}

// otherChosen notes that a client took another server's offer. What a client says
// pauses nothing (it could lie); the answer to our own probe does.
func (s *Server) otherChosen(r *request, server netip.Addr) {
	s.saw(r, inventory.SawChoseOther, server.String(), inventory.SightingValues{Network: r.boot.Network})
}
