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
	a := s.answer(ctx, r, net, mode, server, now)
	if a.why != "" {
		s.saw(r, cmp.Or(a.saw, inventory.SawIgnored), a.why, inventory.SightingValues{Network: net.Name})
	}
	return outgoing{a, r, server, net.Name}, a.reply != nil || len(a.rows) > 0
}

// answer decides by the network's mode.
func (s *Server) answer(ctx context.Context, r *request, n *inventory.Network, mode inventory.DHCPMode, server netip.Addr, now time.Time) answer {
	switch {
	case mode == inventory.DHCPOff:
		return silence("DHCP is off on network " + n.Name)
	case r.from.port4011:
		return s.bootServer(ctx, r, server)
	case mode == inventory.DHCPProxy:
		return s.proxy(ctx, r, server)
	}
	return s.authoritative(ctx, r, n, server, now)
}

func (s *Server) isOurs(mac inventory.MAC) bool {
	for _, l := range s.links {
		if l.MAC == mac {
			return true
		}
	}
	return false
}

func (r *request) client() client { return client{r.mac, r.clientID} }

func firstValid(ips ...netip.Addr) netip.Addr {
	for _, ip := range ips {
		if ip.IsValid() {
			return ip
		}
	}
	return netip.Addr{}
}
