package dhcp

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"ingot/inventory"
)

// authoritative answers on a network whose addresses are ours to give (RFC 2131
// section 4.3).
func (s *Server) authoritative(ctx context.Context, r *request, n *inventory.Network, server netip.Addr, now time.Time) answer {
	known := s.cfg.Machines.Known(r.mac)
	s.mu.Lock()
	b := s.byName[n.Name]
	if b == nil {
		s.mu.Unlock()
		return silence("network was removed")
	}
	v := visit{request: r, book: b, server: server, now: now, stranger: !known && !b.knows(r.client())}
	v.paused = s.pausedBy(n.Name, now)
	v.served = n.AnyClient || r.netboot || !v.stranger
	verdict := v.decide()
	low := b.stock.low(now)
	if verdict.park && b.park(r.from, v.stranger) {
		verdict.why = ""
	}
	s.mu.Unlock()
	if low {
		s.wakeRefill()
	}
	if verdict.announce != nil {
		s.announce(verdict.announce)
	}
	if verdict.other.IsValid() {
		s.otherChosen(r, verdict.other)
	}
	return s.finish(ctx, &v, n, verdict)
}

// announce passes an event on, and tells the operator.
func (s *Server) announce(p inventory.Payload) {
	s.log.Warn(fmt.Sprint(p), "event", string(p.Kind()))
	s.cfg.Announcer.Announce(p)
}
