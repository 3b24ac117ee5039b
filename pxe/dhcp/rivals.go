package dhcp

import (
	"fmt"
	"net/netip"
	"time"

	"ingot/inventory"
)

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
