package dhcp

import (
	"net/netip"
	"slices"
	"time"

	"ingot/inventory"
)

// offerTime is how long an address is held for a client that was offered it: firmware
// collects offers for up to eight seconds, and repeats itself for a minute.
const offerTime = time.Minute

// book holds the addresses of one network: who has them, who was offered them, which
// are known to be free. The Server's lock guards it.
type book struct {
	net *inventory.Network

	byIP  map[netip.Addr]*holding
	byMAC map[inventory.MAC]*holding
	byID  map[string]*holding

	// fixed are static addresses and reservations, by address, MAC and client id.
	fixed    map[netip.Addr]inventory.Address
	fixedMAC map[inventory.MAC]netip.Addr
	fixedID  map[string]netip.Addr
	// own are addresses that can't be given: the server's, the gateway's.
	own map[netip.Addr]bool

	// strangers are addresses offered to unknown clients, oldest first.
	strangers []netip.Addr

	stock stock
	// parked are DISCOVERs that found the stock empty.
	parked []inbound
}

// parkedMax bounds the DISCOVERs of unknown clients that wait for the stock, and twice
// that all; the others are repeated by their clients.
const parkedMax = 256

// park keeps a DISCOVER until the stock is filled, and reports whether there was room.
func (b *book) park(in inbound, stranger bool) bool {
	if n := len(b.parked); n >= 2*parkedMax || stranger && n >= parkedMax {
		return false
	}
	in.data = slices.Clone(in.data)
	in.parked = true
	b.parked = append(b.parked, in)
	return true
}

// unpark returns what waits.
func (b *book) unpark() []inbound {
	waiting := b.parked
	b.parked = nil
	return waiting
}

// holding is one address that somebody has, had, or was offered.
type holding struct {
	// row is what is stored; its Use is empty when it was only ever offered.
	row inventory.Address
	// offer names who may take it, until when.
	offer offer
	// probed is when the address last proved to be free.
	probed time.Time
}

type offer struct {
	client
	stranger bool
	until    time.Time
}

// client is who asks: the MAC, and the client identifier if there is one.
type client struct {
	mac inventory.MAC
	id  string
}

// is reports whether a row belongs to the client. See the package's decisions.
func (c client) is(a inventory.Address) bool {
	return a.MAC == c.mac && a.MAC != "" || a.ClientID == c.id && c.id != ""
}

func newBook(n *inventory.Network) *book {
	b := &book{byIP: map[netip.Addr]*holding{}, byMAC: map[inventory.MAC]*holding{}, byID: map[string]*holding{}}
	b.setNetwork(n, nil, nil)
	return b
}

// setNetwork replaces the network's settings and its fixed addresses.
func (b *book) setNetwork(n *inventory.Network, fixed []inventory.Address, own []netip.Addr) {
	b.net = n
	b.fixed = map[netip.Addr]inventory.Address{}
	b.fixedMAC, b.fixedID = map[inventory.MAC]netip.Addr{}, map[string]netip.Addr{}
	for _, r := range n.Reservations {
		b.fix(inventory.Address{IP: r.IP, Network: n.Name, Use: inventory.AddressLeased,
			MAC: r.MAC, ClientID: r.ClientID, Hostname: r.Hostname})
	}
	for _, a := range fixed {
		b.fix(a)
	}
	b.setOwn(own)
	b.stock.setPools(n)
}

// setOwn names the addresses that are never given.
func (b *book) setOwn(own []netip.Addr) {
	b.own = map[netip.Addr]bool{b.net.Gateway: true}
	for _, ip := range own {
		b.own[ip] = true
	}
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

// record stores a row that is durable now.
func (b *book) record(a inventory.Address) {
	h := b.holding(a.IP)
	b.unindex(h)
	h.row, h.offer = a, offer{}
	if a.Use != inventory.AddressLeased {
		return
	}
	if a.MAC != "" && newer(a, b.byMAC[a.MAC]) {
		b.byMAC[a.MAC] = h
	}
	if a.ClientID != "" && newer(a, b.byID[a.ClientID]) {
		b.byID[a.ClientID] = h
	}
}

// rows returns all that is stored.
func (b *book) rows() []inventory.Address {
	var out []inventory.Address
	for _, h := range b.byIP {
		if h.row.Use != "" {
			out = append(out, h.row)
		}
	}
	return out
}

// newer reports whether a replaces the row of h as a client's latest.
func newer(a inventory.Address, h *holding) bool {
	return h == nil || !a.Expires.Before(h.row.Expires)
}

func (b *book) unindex(h *holding) {
	for _, mac := range []inventory.MAC{h.row.MAC, h.offer.mac} {
		if b.byMAC[mac] == h {
			delete(b.byMAC, mac)
		}
	}
	if b.byID[h.row.ClientID] == h {
		delete(b.byID, h.row.ClientID)
	}
}

func (b *book) holding(ip netip.Addr) *holding {
	h := b.byIP[ip]
	if h == nil {
		h = &holding{row: inventory.Address{IP: ip, Network: b.net.Name}}
		b.byIP[ip] = h
	}
	return h
}

// fixedFor returns the static or reserved address of a client.
func (b *book) fixedFor(c client) (inventory.Address, bool) {
	ip, ok := b.fixedMAC[c.mac]
	if !ok && c.id != "" {
		ip, ok = b.fixedID[c.id]
	}
	return b.fixed[ip], ok
}

// last returns the lease a client has or had on this network, by client identifier
// first, then by MAC.
func (b *book) last(c client) *holding {
	if h := b.byID[c.id]; h != nil && c.id != "" {
		return h
	}
	if h := b.byMAC[c.mac]; h != nil && h.row.Use == inventory.AddressLeased {
		return h
	}
	return nil
}

// knows reports whether the client has, or had, an address here.
func (b *book) knows(c client) bool {
	_, fixed := b.fixedFor(c)
	return fixed || b.last(c) != nil
}

// taken reports whether an address is somebody else's: given to another client, fixed
// for one, quarantined, or one of our own.
func (b *book) taken(ip netip.Addr, c client, now time.Time) bool {
	if a, ok := b.fixed[ip]; ok {
		return !c.is(a)
	}
	if b.own[ip] {
		return true
	}
	h := b.byIP[ip]
	if h == nil || h.row.Use == "" || !h.row.Active(now) {
		return false
	}
	return h.row.Use == inventory.AddressQuarantined || !c.is(h.row)
}

// promised reports whether an address is on offer to another client.
func (b *book) promised(ip netip.Addr, c client, now time.Time) bool {
	h := b.byIP[ip]
	return h != nil && now.Before(h.offer.until) && h.offer.mac != c.mac
}

// inPool reports whether an address may be given to anybody.
func (b *book) inPool(ip netip.Addr) bool {
	for _, p := range b.net.Pools {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// free reports whether an address may be given to c.
func (b *book) free(ip netip.Addr, c client, now time.Time) bool {
	return b.inPool(ip) && !b.taken(ip, c, now) && !b.promised(ip, c, now)
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

// lease returns the rows that make ip the client's until expires: its own, and the end
// of another lease it holds here. The address stays held for the client until record.
func (b *book) lease(ip netip.Addr, c client, name string, now, expires time.Time) []inventory.Address {
	h := b.holding(ip)
	if h.offer.mac != c.mac || h.offer.until.Before(now.Add(offerTime)) {
		h.offer = offer{client: c, until: now.Add(offerTime)}
	}
	row := inventory.Address{IP: ip, Network: b.net.Name, Use: inventory.AddressLeased,
		MAC: c.mac, ClientID: c.id, Hostname: name, Expires: expires, Updated: now}
	if h.row.Machine != "" && c.is(h.row) {
		row.Machine = h.row.Machine
	}
	rows := []inventory.Address{row}
	if old := b.last(c); old != nil && old != h && old.row.Use == inventory.AddressLeased && old.row.Active(now) {
		ended := old.row
		ended.Expires, ended.Updated = now, now
		rows = append(rows, ended)
	}
	return rows
}
