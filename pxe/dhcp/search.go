package dhcp

import (
	"net/netip"
	"runtime"
	"time"

	"ingot/inventory"
)

const (
	// searchAgain is the time between searches of a pool in which nothing was free.
	searchAgain = time.Second
	// stockStep is how many addresses are looked at, or put into stock, while packets wait.
	stockStep = 128
)

// search looks through a network's pools for the addresses of a round of probes. Where
// most are taken that can be thousands, so it is done in steps, between which packets are
// answered.
type search struct {
	book *book
	// want is how many addresses are looked for, left how many are not looked at yet.
	want, left int
	// fresh addresses nobody ever had, the lease of used ones ran out.
	fresh, used []netip.Addr
}

// search returns the addresses that a network's stock lacks, at most a round of them,
// none when it lacks none or no more are free. Until [book.probedFree] or forget they
// count as asked for.
func (s *Server) search(b *book) []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	q := &search{book: b, want: b.stock.want(now), left: b.stock.size}
	if now.Before(b.stock.retry) {
		q.want = 0
	}
	for q.step(now) {
		s.mu.Unlock()
		runtime.Gosched() // or this loop would have the lock again before those who wait
		s.mu.Lock()
	}
	return q.found(now)
}

// step looks at some more addresses, and reports whether there is more to do.
func (q *search) step(now time.Time) bool {
	for range stockStep {
		if q.left <= 0 || len(q.fresh) >= q.want {
			return false
		}
		q.left--
		q.look(q.book.stock.advance(), now)
	}
	return true
}

// look keeps an address that is free in the book, not in stock and not asked for.
func (q *search) look(ip netip.Addr, now time.Time) {
	b := q.book
	if _, ok := b.stock.at[ip]; ok || b.stock.asked[ip] || !b.free(ip, client{}, now) {
		return
	}
	if h := b.byIP[ip]; h != nil && h.row.Use == inventory.AddressLeased {
		q.used = append(q.used, ip)
		return
	}
	q.fresh = append(q.fresh, ip)
}

// found returns the addresses to probe: those that nobody ever had before the others.
func (q *search) found(now time.Time) []netip.Addr {
	if q.want <= 0 {
		return nil
	}
	ips := append(q.fresh, q.used[:min(len(q.used), q.want-len(q.fresh))]...)
	stock := &q.book.stock
	if len(ips) == 0 {
		stock.retry = now.Add(searchAgain)
		stock.exhausted = len(stock.at) == 0 && len(stock.asked) == 0
	}
	for _, ip := range ips {
		stock.asked[ip] = true
	}
	return ips
}

// forget takes back that addresses were asked for.
func (s *stock) forget(ips []netip.Addr) {
	for _, ip := range ips {
		delete(s.asked, ip)
	}
}
