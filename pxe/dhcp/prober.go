package dhcp

import (
	"context"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/inventory"
)

// Prober finds out which addresses somebody uses already.
type Prober interface {
	// InUse returns those of ips that answer, with the hardware address where the
	// link shows one. link is nil when they are behind a router. It waits a fraction
	// of a second for answers.
	InUse(ctx context.Context, link *Link, ips []netip.Addr) (map[netip.Addr]inventory.MAC, error)
}

const (
	// inUseTime is the quarantine of an address that answered a probe.
	inUseTime = 10 * time.Minute
	// restock is how often the stock is looked at when nothing calls for it.
	restock = 30 * time.Second
	// roundsMax bounds the rounds of probes at once, of all networks.
	roundsMax = 16
)

// wakeRefill asks for probes now. It does not block.
func (s *Server) wakeRefill() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// refill keeps the stock of every authoritative network filled, until ctx ends.
func (s *Server) refill(ctx context.Context) error {
	var rounds errgroup.Group
	rounds.SetLimit(roundsMax)
	for {
		for _, b := range s.authoritativeBooks() {
			s.restock(b, func(ips []netip.Addr) {
				rounds.Go(func() error { s.probe(ctx, b, ips); return nil })
			})
		}
		select {
		case <-ctx.Done():
			return rounds.Wait()
		case <-s.wake:
		case <-s.cfg.After(restock):
		}
	}
}

func (s *Server) authoritativeBooks() []*book {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*book
	for _, b := range s.books {
		if b.net.DHCP == inventory.DHCPAuthoritative {
			out = append(out, b)
		}
	}
	return out
}

// restock has probed what one network's stock lacks.
func (s *Server) restock(b *book, probe func(ips []netip.Addr)) {
	for ips := s.search(b); len(ips) > 0; ips = s.search(b) {
		probe(ips)
	}
	s.mu.Lock()
	var parked []inbound
	if len(b.stock.at) > 0 || b.stock.exhausted {
		parked = b.unpark()
	}
	s.mu.Unlock()
	s.again(parked)
}

// probe puts those of the addresses into stock that nobody uses.
func (s *Server) probe(ctx context.Context, b *book, ips []netip.Addr) {
	s.mu.Lock()
	net := b.net
	s.mu.Unlock()
	used, err := s.prober().InUse(ctx, s.linkOf(net.Subnet), ips)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.unprobed(b, ips)
		s.logOnce("probe "+net.Name+err.Error(), "addresses can't be probed: no new leases", "network", net.Name, "err", err)
		return
	}
	now := s.cfg.Now()
	s.mu.Lock()
	b.stock.forget(slices.Collect(maps.Keys(used)))
	rows := b.inUse(used, now)
	s.mu.Unlock()
	for free := range slices.Chunk(without(ips, used), stockStep) {
		s.mu.Lock()
		b.probedFree(free, now)
		s.mu.Unlock()
		runtime.Gosched() // as in search
	}
	s.mu.Lock()
	parked := b.unpark()
	s.mu.Unlock()
	s.again(parked)
	s.quarantine(ctx, net.Name, rows)
}

// unprobed: there are no more probes for a while, and no new leases without.
func (s *Server) unprobed(b *book, ips []netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.stock.forget(ips)
	b.stock.retry = s.cfg.Now().Add(searchAgain)
}

// quarantine stores that addresses of the pool are in use by others.
func (s *Server) quarantine(ctx context.Context, network string, rows []inventory.Address) {
	if len(rows) == 0 {
		return
	}
	s.log.Warn("addresses of the pool are in use by others", "network", network, "count", len(rows), "first", rows[0].IP)
	if err := s.cfg.Leases.Commit(ctx, rows); err != nil {
		s.log.Error("commit quarantine", "network", network, "err", err)
	}
}

// again handles packets that waited for the stock: they are answered from it, or told
// that the pool is exhausted.
func (s *Server) again(parked []inbound) {
	for _, in := range parked {
		s.queue.put(queued{inbound: in}, true)
	}
}

// inUse quarantines what answered. An address that answers from the MAC of its last
// holder is only kept out of stock: the holder may come back for it.
func (b *book) inUse(used map[netip.Addr]inventory.MAC, now time.Time) []inventory.Address {
	var rows []inventory.Address
	for ip, mac := range used {
		h := b.byIP[ip]
		if h != nil && (h.row.MAC == mac && mac != "" || !b.free(ip, client{}, now)) {
			continue
		}
		row := inventory.Address{IP: ip, Network: b.net.Name, Use: inventory.AddressQuarantined, MAC: mac,
			Expires: now.Add(inUseTime), Updated: now, Reason: "answered the address probe"}
		b.record(row)
		rows = append(rows, row)
	}
	return rows
}

func without(ips []netip.Addr, used map[netip.Addr]inventory.MAC) []netip.Addr {
	var out []netip.Addr
	for _, ip := range ips {
		if _, ok := used[ip]; !ok {
			out = append(out, ip)
		}
	}
	return out
}

// linkOf returns the link that a subnet is on, nil when it is behind a router.
func (s *Server) linkOf(subnet netip.Prefix) *Link {
	for _, l := range s.links {
		if l.reaches(subnet) {
			return l
		}
	}
	return nil
}

func (s *Server) prober() Prober {
	if s.cfg.Prober != nil {
		return s.cfg.Prober
	}
	return wireProber{after: s.cfg.After}
}
