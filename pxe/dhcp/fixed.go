package dhcp

import (
	"net/netip"

	"ingot/inventory"
)

// SetAddresses replaces the static and reserved addresses. Leased and quarantined rows
// are ignored: this package writes those itself.
func (s *Server) SetAddresses(rows []inventory.Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.addresses)
	for _, a := range rows {
		if isFixed(a) {
			s.addresses[a.IP] = a
		}
	}
	for _, b := range s.books {
		b.setNetwork(b.net, s.fixedOf(b.net.Name), s.ownAddrs())
	}
}

// Learn adds or replaces one static or reserved address.
func (s *Server) Learn(a inventory.Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isFixed(a) {
		return
	}
	s.addresses[a.IP] = a
	if b := s.byName[a.Network]; b != nil {
		b.fix(a)
	}
}

// Forget removes a static or reserved address.
func (s *Server) Forget(ip netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.addresses[ip]
	delete(s.addresses, ip)
	if b := s.byName[a.Network]; ok && b != nil {
		b.setNetwork(b.net, s.fixedOf(a.Network), s.ownAddrs())
	}
}

func isFixed(a inventory.Address) bool {
	return a.Use == inventory.AddressStatic || a.Use == inventory.AddressReserved
}

func (s *Server) fixedOf(network string) []inventory.Address {
	var out []inventory.Address
	for _, a := range s.addresses {
		if a.Network == network {
			out = append(out, a)
		}
	}
	return out
}

func (b *book) fix(a inventory.Address) {
	if !b.net.Subnet.Contains(a.IP) {
		return
	}
	b.unfix(a.IP)
	b.fixed[a.IP] = a
	if a.MAC != "" {
		b.fixedMAC[a.MAC] = a.IP
	}
	if a.ClientID != "" {
		b.fixedID[a.ClientID] = a.IP
	}
}

func (b *book) unfix(ip netip.Addr) {
	a, ok := b.fixed[ip]
	if !ok {
		return
	}
	delete(b.fixed, ip)
	if b.fixedMAC[a.MAC] == ip {
		delete(b.fixedMAC, a.MAC)
	}
	if b.fixedID[a.ClientID] == ip {
		delete(b.fixedID, a.ClientID)
	}
}

// fixedFor returns the static or reserved address of a client.
func (b *book) fixedFor(c client) (inventory.Address, bool) {
	ip, ok := b.fixedMAC[c.mac]
	if !ok && c.id != "" {
		ip, ok = b.fixedID[c.id]
	}
	return b.fixed[ip], ok
}
