package dhcp

import (
	"net/netip"
	"slices"
	"time"

	"ingot/inventory"
)

// The stock of addresses that proved to be free. Its level follows the demand: four
// times what was taken since the last round of probes.
const (
	stockMin = 1024
	stockMax = 16384
	// stockAge is how long a probe is believed.
	stockAge = 10 * time.Minute
)

// stock is a queue of addresses of a network's pools that did not answer a probe. Those
// are probed ahead of need, by refill, so that no client waits for a probe.
type stock struct {
	queue []probed
	at    map[netip.Addr]time.Time
	// size is the number of addresses in the pools.
	size  int
	pools []inventory.AddressRange
	// pool and next are where the search for candidates goes on.
	pool int
	next netip.Addr
	// taken counts since the last round of probes, missed those that found nothing;
	// level is what to fill up to.
	taken  int
	missed int
	level  int
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
	s.queue, s.at = nil, map[netip.Addr]time.Time{}
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
// level to the demand since it was last asked.
func (s *stock) want(now time.Time) int {
	for len(s.queue) > 0 && now.Sub(s.queue[0].at) > stockAge/2 {
		delete(s.at, s.queue[0].ip)
		s.queue = s.queue[1:]
	}
	s.level = min(max(stockMin, s.level*15/16, 4*(s.taken+s.missed)), s.size, stockMax)
	s.taken, s.missed = 0, 0
	return s.level - len(s.at)
}

// low reports whether it is time for more probes.
func (s *stock) low(now time.Time) bool {
	return len(s.at) < s.level*3/4+1 && !now.Before(s.retry)
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

// searchAgain is the time between searches of a pool in which nothing was free.
const searchAgain = time.Second

// candidates returns addresses to probe now: free in the book, not in stock, those
// that nobody ever had before those whose lease ran out.
func (b *book) candidates(now time.Time) []netip.Addr {
	n := b.stock.want(now)
	if n <= 0 || now.Before(b.stock.retry) {
		return nil
	}
	var ips, used []netip.Addr
	for range b.stock.size {
		if len(ips) >= n {
			break
		}
		ip := b.stock.advance()
		if _, ok := b.stock.at[ip]; ok || !b.free(ip, client{}, now) {
			continue
		}
		if h := b.byIP[ip]; h != nil && h.row.Use == inventory.AddressLeased {
			used = append(used, ip)
			continue
		}
		ips = append(ips, ip)
	}
	ips = append(ips, used[:min(len(used), n-len(ips))]...)
	if len(ips) == 0 {
		b.stock.retry = now.Add(searchAgain)
		b.stock.exhausted = len(b.stock.at) == 0
	}
	return ips
}

// probedFree puts what did not answer into stock.
func (b *book) probedFree(ips []netip.Addr, now time.Time) {
	for _, ip := range ips {
		if b.free(ip, client{}, now) {
			b.stock.put(ip, now, now)
		}
	}
}
