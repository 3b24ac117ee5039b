package dhcp

import (
	"net/netip"
	"slices"
	"time"

	"ingot/inventory"
)

// The stock of addresses that proved to be free. Its level follows the demand: twice what
// is taken in demandTime, in which several rounds of probes end.
const (
	stockMin   = 1024
	stockMax   = 16384
	demandTime = 500 * time.Millisecond
	// stockAge is how long a probe is believed.
	stockAge = 10 * time.Minute
	// roundMax is how many addresses are probed together. Rounds overlap, so that a stock
	// which is used up fast is filled as fast.
	roundMax = 1024
)

// stock is a queue of addresses of a network's pools that did not answer a probe. Those
// are probed ahead of need, by refill, so that no client waits for a probe.
type stock struct {
	queue []probed
	at    map[netip.Addr]time.Time
	// asked are the addresses that are being probed.
	asked map[netip.Addr]bool
	// size is the number of addresses in the pools.
	size  int
	pools []inventory.AddressRange
	// pool and next are where the search for candidates goes on.
	pool int
	next netip.Addr
	// taken counts since since, missed those that found nothing; level is what to fill up
	// to.
	taken, missed int
	since         time.Time
	level         int
	// exhausted: the last search found no candidate, and it is not worth another
	// before retry. announced: that was told.
	exhausted, announced bool
	retry                time.Time
}

type probed struct {
	ip netip.Addr
	at time.Time
}

func (s *stock) setPools(n *inventory.Network) {
	if s.at != nil && slices.Equal(s.pools, n.Pools) {
		return
	}
	s.pools, s.size, s.pool, s.next = n.Pools, 0, 0, netip.Addr{}
	for _, p := range n.Pools {
		s.size += int(toUint32(p.Last)-toUint32(p.First)) + 1
	}
	s.queue, s.at, s.asked = nil, map[netip.Addr]time.Time{}, map[netip.Addr]bool{}
	s.level = min(stockMin, s.size)
	s.retry, s.exhausted, s.announced = time.Time{}, false, false
}

// put adds an address that was seen to be free at the time at.
func (s *stock) put(ip netip.Addr, at, now time.Time) {
	if _, ok := s.at[ip]; ok || now.Sub(at) > stockAge {
		return
	}
	s.exhausted, s.announced = false, false
	s.at[ip] = at
	s.queue = append(s.queue, probed{ip, at})
}

// take removes the oldest address of the stock.
func (s *stock) take(now time.Time) (netip.Addr, time.Time, bool) {
	for len(s.queue) > 0 {
		p := s.queue[0]
		s.queue = s.queue[1:]
		at, ok := s.at[p.ip]
		if !ok || !at.Equal(p.at) {
			continue // taken by name since
		}
		delete(s.at, p.ip)
		if now.Sub(at) <= stockAge {
			s.taken++
			return p.ip, at, true
		}
	}
	return netip.Addr{}, time.Time{}, false
}

// takeThis removes one address, if it is in stock.
func (s *stock) takeThis(ip netip.Addr, now time.Time) (time.Time, bool) {
	at, ok := s.at[ip]
	if !ok || now.Sub(at) > stockAge {
		return time.Time{}, false
	}
	delete(s.at, ip)
	s.taken++
	return at, true
}

// want is how many addresses to probe now. It forgets what has aged, and adapts the
// level to the demand.
func (s *stock) want(now time.Time) int {
	for len(s.queue) > 0 && now.Sub(s.queue[0].at) > stockAge/2 {
		delete(s.at, s.queue[0].ip)
		s.queue = s.queue[1:]
	}
	demand := 2 * (s.taken + s.missed)
	s.level = max(s.level, demand)
	if now.Sub(s.since) >= demandTime {
		s.level = max(s.level*15/16, demand)
		s.taken, s.missed, s.since = 0, 0, now
	}
	s.level = min(max(s.level, stockMin), s.size, stockMax)
	return min(s.level-len(s.at)-len(s.asked), s.round())
}

// round is how many addresses a round of probes has: a full one, which is probed in haste,
// only where the demand is high.
func (s *stock) round() int {
	if s.level > 2*stockMin {
		return roundMax
	}
	return roundMax / 2
}

// low reports whether it is time for more probes.
func (s *stock) low(now time.Time) bool {
	lacks := s.level - len(s.at) - len(s.asked)
	return lacks >= max(min(s.level/4, s.round()), 1) && !now.Before(s.retry)
}

// advance returns the next address of the pools, round and round.
func (s *stock) advance() netip.Addr {
	if len(s.pools) == 0 {
		return netip.Addr{}
	}
	if !s.next.IsValid() || !s.pools[s.pool].Contains(s.next) {
		if s.next.IsValid() {
			s.pool = (s.pool + 1) % len(s.pools)
		}
		s.next = s.pools[s.pool].First
	}
	ip := s.next
	s.next = ip.Next()
	return ip
}

// probedFree puts what did not answer into stock.
func (b *book) probedFree(ips []netip.Addr, now time.Time) {
	for _, ip := range ips {
		delete(b.stock.asked, ip)
		if b.free(ip, client{}, now) {
			b.stock.put(ip, now, now)
		}
	}
}
