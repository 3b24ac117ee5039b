package dhcp

import (
	"net/netip"
	"time"

	"ingot/inventory"
)

// offerTime is how long an address is held for a client that was offered it: firmware
// collects offers for up to eight seconds, and repeats itself for a minute.
const offerTime = time.Minute

type offer struct {
	client
	stranger bool
	until    time.Time
}

// offerTo chooses an address for a client and holds it (RFC 2131 section 4.3.1): its
// fixed one, the one it has or had, the one it asks for, any. The zero Addr means that
// there is none. Neither of the last two is offered unless it proved to be free.
func (b *book) offerTo(c client, wanted netip.Addr, stranger bool, now time.Time) netip.Addr {
	if a, ok := b.fixedFor(c); ok {
		return a.IP
	}
	if h := b.last(c); h != nil && b.free(h.row.IP, c, now) {
		h.offer = offer{client: c, until: now.Add(offerTime)}
		return h.row.IP
	}
	if h := b.offered(c, now); h != nil {
		h.offer.until = now.Add(offerTime)
		return h.row.IP
	}
	if stranger {
		b.evictStrangers(now)
	}
	probed, ok := b.stock.takeThis(wanted, now)
	if !ok || !b.free(wanted, c, now) {
		wanted, probed = b.takeAny(c, now)
	}
	if !wanted.IsValid() {
		return wanted
	}
	h := b.holding(wanted)
	b.unindex(h)
	h.row, h.probed = inventory.Address{IP: wanted, Network: b.net.Name}, probed
	h.offer = offer{client: c, stranger: stranger, until: now.Add(offerTime)}
	b.byMAC[c.mac] = h
	if stranger {
		b.strangers = append(b.strangers, wanted)
	}
	return wanted
}

// offered returns what is on offer to the client now, so that a repeated DISCOVER gets
// the same answer.
func (b *book) offered(c client, now time.Time) *holding {
	h := b.byMAC[c.mac]
	if h == nil || h.row.Use != "" || h.offer.mac != c.mac || !now.Before(h.offer.until) {
		return nil
	}
	return h
}

func (b *book) takeAny(c client, now time.Time) (netip.Addr, time.Time) {
	for {
		ip, probed, ok := b.stock.take(now)
		if !ok {
			return netip.Addr{}, time.Time{}
		}
		if b.free(ip, c, now) {
			return ip, probed
		}
	}
}

// strangersMax is how many offers unknown clients can hold at once.
func (b *book) strangersMax() int { return max(1, min(b.stock.size/2, 4096)) }

// evictStrangers makes room for one more offer to an unknown client: when they hold
// their share, the oldest of them goes to the back of the stock.
func (b *book) evictStrangers(now time.Time) {
	for len(b.strangers) >= b.strangersMax() {
		ip := b.strangers[0]
		b.strangers = b.strangers[1:]
		b.withdraw(ip, now)
	}
}

// withdraw takes back an offer that nobody took, and puts the address back into stock.
func (b *book) withdraw(ip netip.Addr, now time.Time) {
	h := b.byIP[ip]
	if h == nil || h.row.Use != "" || !h.offer.stranger {
		return
	}
	if b.byMAC[h.offer.mac] == h {
		delete(b.byMAC, h.offer.mac)
	}
	delete(b.byIP, ip)
	b.stock.put(ip, h.probed, now)
}
