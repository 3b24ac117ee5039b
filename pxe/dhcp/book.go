package dhcp

import (
	"net/netip"
	"time"

	"ingot/inventory"
)

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

// holding is one address that somebody has, had, or was offered.
type holding struct {
	// row is what is stored; its Use is empty when it was only ever offered.
	row inventory.Address
	// offer names who may take it, until when.
	offer offer
	// probed is when the address last proved to be free.
	probed time.Time
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
