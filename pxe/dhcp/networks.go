package dhcp

import (
	"net/netip"
	"time"

	"ingot/inventory"
)

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

// SetNetworks replaces the networks. Leases of a network that stays by name are kept.
func (s *Server) SetNetworks(networks []inventory.Network) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.byName
	s.books, s.byName = nil, map[string]*book{}
	for name, b := range old {
		s.kept[name] = b.rows()
	}
	for i := range networks {
		n := networks[i]
		b := old[n.Name]
		if b == nil {
			b = newBook(&n)
			for _, a := range s.kept[n.Name] {
				b.record(a)
			}
		}
		b.setNetwork(&n, s.fixedOf(n.Name), s.ownAddrs())
		s.books = append(s.books, b)
		s.byName[n.Name] = b
	}
	s.wakeRefill()
}

func (s *Server) ownAddrs() []netip.Addr {
	var out []netip.Addr
	for _, l := range s.links {
		for _, p := range l.Addrs() {
			out = append(out, p.Addr())
		}
	}
	return out
}
