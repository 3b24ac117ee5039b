package dhcp

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// answer is what is done about a packet: send a reply, after rows are durable.
type answer struct {
	// reply nil is silence; why tells the reason, saw its kind (empty: SawIgnored).
	reply *dhcpv4.DHCPv4
	why   string
	saw   inventory.SightingKind
	// rows are committed before the reply leaves.
	rows []inventory.Address
	// note goes with the sighting of the reply: why there is no boot file in it.
	note string
}

func silence(why string) answer { return answer{why: why} }

// outgoing is an answer on its way.
type outgoing struct {
	answer
	req    *request
	server netip.Addr
	net    string
}

// work handles packets until the queue is closed.
func (s *Server) work(ctx context.Context) {
	for {
		p, ok := s.queue.next()
		if !ok {
			return
		}
		if out, ok := s.handle(ctx, p.inbound); ok {
			s.dispatch(out)
		}
		if p.buf != nil {
			s.buffers.Put(p.buf)
		}
	}
}

// dispatch sends an answer, or hands it to the committer when rows go with it.
func (s *Server) dispatch(out outgoing) {
	if len(out.rows) > 0 {
		s.commits <- out
		return
	}
	s.send(out)
}

// handle decides about one packet. It does no I/O.
func (s *Server) handle(ctx context.Context, in inbound) (outgoing, bool) {
	r, err := parseRequest(in)
	if r == nil {
		return outgoing{}, false
	}
	now := s.cfg.Now()
	if err != nil {
		s.saw(r, inventory.SawIgnored, err.Error(), inventory.SightingValues{})
		return outgoing{}, false
	}
	if s.isOurs(r.mac) {
		return outgoing{}, false
	}
	net, mode := s.networkOf(r, now)
	if net == nil {
		s.saw(r, inventory.SawIgnored, "on no network of the inventory", inventory.SightingValues{})
		return outgoing{}, false
	}
	r.boot.Network = net.Name
	if !in.parked {
		s.sawRequest(r, net.Name)
	}
	server := in.link.address(in.dest, net.Subnet)
	if r.serverIDOverride.IsValid() && r.giaddr.IsValid() {
		server = r.serverIDOverride
	}
	if !server.IsValid() {
		s.logOnce("address "+in.link.Name, "interface has no IPv4 address: can't answer", "interface", in.link.Name)
		return outgoing{}, false
	}
	r.boot.Proxy = mode == inventory.DHCPProxy
	r.boot.Server = in.link.address(in.dest, net.Subnet)
	var a answer
	switch {
	case mode == inventory.DHCPOff:
		a = silence("DHCP is off on network " + net.Name)
	case in.port4011:
		a = s.bootServer(ctx, r, server)
	case mode == inventory.DHCPProxy:
		a = s.proxy(ctx, r, server)
	default:
		a = s.authoritative(ctx, r, net, server, now)
	}
	if a.why != "" {
		s.saw(r, cmp.Or(a.saw, inventory.SawIgnored), a.why, inventory.SightingValues{Network: net.Name})
	}
	return outgoing{a, r, server, net.Name}, a.reply != nil || len(a.rows) > 0
}

func (s *Server) isOurs(mac inventory.MAC) bool {
	for _, l := range s.links {
		if l.MAC == mac {
			return true
		}
	}
	return false
}

// networkOf finds the network of a client: by the relay's address or link selection
// (RFC 3527); by its own address when it renews by unicast, perhaps through a router;
// else one of the link's, the one that knows the client first.
func (s *Server) networkOf(r *request, now time.Time) (*inventory.Network, inventory.DHCPMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	point := r.linkSelection
	if !point.IsValid() || !r.giaddr.IsValid() {
		point = r.giaddr
	}
	if !point.IsValid() && r.ciaddr.IsValid() && r.from.unicast() {
		point = r.ciaddr
	}
	var found *book
	for _, b := range s.books {
		switch {
		case point.IsValid():
			if b.net.Subnet.Contains(point) {
				return b.net, b.net.DHCP
			}
		case !r.from.link.reaches(b.net.Subnet):
		case b.knows(r.client()):
			return b.net, b.net.DHCP
		case found == nil || found.net.DHCP == inventory.DHCPOff || found.empty(now) && !b.empty(now):
			found = b
		}
	}
	if found == nil {
		return nil, inventory.DHCPOff
	}
	return found.net, found.net.DHCP
}

// empty reports whether an authoritative network has no address to offer now.
func (b *book) empty(now time.Time) bool {
	return b.net.DHCP == inventory.DHCPAuthoritative && len(b.stock.at) == 0
}

func (r *request) client() client { return client{r.mac, r.clientID} }

// saw reports a sighting of the client.
func (s *Server) saw(r *request, kind inventory.SightingKind, detail string, v inventory.SightingValues) {
	s.sawAt(s.cfg.Now(), r, kind, detail, v)
}

func (s *Server) sawAt(at time.Time, r *request, kind inventory.SightingKind, detail string, v inventory.SightingValues) {
	if r.giaddr.IsValid() {
		v.Relay = r.giaddr.String()
	}
	if r.netboot {
		v.Class = r.boot.Class
		if r.boot.ArchKnown {
			arch := int(r.boot.Arch)
			v.Arch = &arch
		}
	}
	s.cfg.Observer.Saw(inventory.Sighting{MAC: r.mac, Kind: kind, Detail: detail, Count: 1, First: at, Last: at, Values: v})
}

var requestSightings = map[dhcpv4.MessageType]inventory.SightingKind{
	dhcpv4.MessageTypeDiscover: inventory.SawDiscover,
	dhcpv4.MessageTypeRequest:  inventory.SawRequest,
	dhcpv4.MessageTypeDecline:  inventory.SawDecline,
	dhcpv4.MessageTypeInform:   inventory.SawInform,
	dhcpv4.MessageTypeRelease:  inventory.SawRelease,
}

func (s *Server) sawRequest(r *request, network string) {
	kind, ok := requestSightings[r.kind]
	if !ok {
		return
	}
	if r.from.port4011 {
		kind = inventory.SawProxyRequest
	}
	v := inventory.SightingValues{Network: network}
	if ip := firstValid(r.wanted, r.ciaddr); ip.IsValid() {
		v.IP = ip.String()
	}
	s.saw(r, kind, "", v)
	if r.netboot && r.boot.Discover && (!r.boot.ArchKnown || !r.boot.Arch.Known()) {
		s.saw(r, inventory.SawUnknownArch, r.boot.Arch.String(), v)
		s.logOnce("arch "+r.boot.Arch.String()+r.boot.Class, "unknown client architecture or class",
			"mac", r.mac, "arch", int(r.boot.Arch), "class", r.boot.Class)
	}
}

func firstValid(ips ...netip.Addr) netip.Addr {
	for _, ip := range ips {
		if ip.IsValid() {
			return ip
		}
	}
	return netip.Addr{}
}
