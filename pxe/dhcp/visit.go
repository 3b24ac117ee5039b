package dhcp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// quarantineTime is how long a declined address stays unused.
const quarantineTime = time.Hour

// visit is one packet's dealings with the book of its network.
type visit struct {
	*request
	book   *book
	server netip.Addr
	now    time.Time
	// stranger: neither a known machine nor a holder of a lease here.
	stranger bool
	// served: the network gives this client addresses.
	served bool
	// paused is another server that answers here; new leases wait until it is gone.
	paused netip.Addr
}

func (v *visit) decide() verdict {
	if !v.served {
		return quiet("neither a known machine nor a network boot")
	}
	switch v.kind {
	case dhcpv4.MessageTypeDiscover:
		return v.discover()
	case dhcpv4.MessageTypeRequest:
		return v.demand()
	case dhcpv4.MessageTypeDecline:
		return v.decline()
	case dhcpv4.MessageTypeRelease:
		return v.release()
	case dhcpv4.MessageTypeInform:
		return v.inform()
	}
	return quiet("message type %s is not for a server", v.kind)
}

func (v *visit) discover() verdict {
	c := v.client()
	if v.paused.IsValid() && !v.book.knows(c) {
		return quiet("paused: DHCP server %s answers on this network", v.paused)
	}
	ip := v.book.offerTo(c, v.wanted, v.stranger, v.now)
	if !ip.IsValid() {
		return v.nothingFree()
	}
	return verdict{kind: dhcpv4.MessageTypeOffer, ip: ip, name: v.book.nameOf(ip, v.hostname)}
}

func (v *visit) nothingFree() verdict {
	b := v.book
	b.stock.missed++
	if !b.stock.exhausted {
		return verdict{why: "no probed address in stock yet", park: !v.from.parked}
	}
	out := quiet("no free address: all %d are taken", b.stock.size)
	out.saw = inventory.SawExhausted
	if !b.stock.announced {
		b.stock.announced = true
		out.announce = inventory.PoolExhausted{Network: b.net.Name, Size: b.stock.size}
	}
	return out
}

// demand is a REQUEST; RFC 2131 table 4 tells the four kinds apart.
func (v *visit) demand() verdict {
	switch {
	case v.serverID.IsValid() && v.serverID != v.server && !v.from.link.owns(v.serverID):
		return v.choseOther()
	case v.serverID.IsValid():
		return v.selecting(firstValid(v.wanted, v.ciaddr))
	case v.ciaddr.IsValid():
		return v.keep(v.ciaddr)
	case v.wanted.IsValid():
		return v.keep(v.wanted)
	}
	return quiet("REQUEST names no address")
}

// choseOther: the client took another server's offer; ours is free again.
func (v *visit) choseOther() verdict {
	if h := v.book.offered(v.client(), v.now); h != nil {
		h.offer.stranger = true
		v.book.withdraw(h.row.IP, v.now)
	}
	return verdict{why: "client chose DHCP server " + v.serverID.String(), other: v.serverID}
}

// selecting: the client took our offer. An offer that we forgot (a restart) is as good
// while the address is free.
func (v *visit) selecting(ip netip.Addr) verdict {
	c := v.client()
	if out, wrong := v.wrong(ip); wrong {
		return out
	}
	fixed, _ := v.book.fixedFor(c)
	if fixed.IP != ip && !v.book.free(ip, c, v.now) {
		return quiet("%s is not on offer to this client", ip)
	}
	return v.grant(ip)
}

// keep: INIT-REBOOT, RENEWING or REBINDING; the client wants the address it has.
func (v *visit) keep(ip netip.Addr) verdict {
	c := v.client()
	if out, wrong := v.wrong(ip); wrong {
		return out
	}
	fixed, _ := v.book.fixedFor(c)
	last := v.book.last(c)
	if fixed.IP == ip || last != nil && last.row.IP == ip && !v.book.promised(ip, c, v.now) {
		return v.grant(ip)
	}
	if v.book.net.SoleAuthority {
		return verdict{kind: dhcpv4.MessageTypeNak, why: "no record of " + ip.String()}
	}
	return quiet("no record of %s", ip)
}

// wrong says NAK to an address outside the network or held by somebody else: the only
// two reasons. While another server answers here it says it only to our own clients.
func (v *visit) wrong(ip netip.Addr) (verdict, bool) {
	why := ""
	switch {
	case !v.book.net.Subnet.Contains(ip):
		why = fmt.Sprintf("%s is outside %s", ip, v.book.net.Subnet)
	case v.book.taken(ip, v.client(), v.now):
		why = fmt.Sprintf("%s is held by somebody else", ip)
	default:
		return verdict{}, false
	}
	if v.paused.IsValid() && !v.book.knows(v.client()) {
		return quiet("%s, and DHCP server %s answers here as well", why, v.paused), true
	}
	return verdict{kind: dhcpv4.MessageTypeNak, why: why}, true
}

// grant makes the address the client's. A static or reserved row is durable already
// and belongs to lifecycle.
func (v *visit) grant(ip netip.Addr) verdict {
	out := verdict{kind: dhcpv4.MessageTypeAck, ip: ip, name: v.book.nameOf(ip, v.hostname)}
	if a, ok := v.book.fixed[ip]; ok && isFixed(a) {
		return out
	}
	out.rows = v.book.lease(ip, v.client(), out.name, v.now, v.now.Add(leaseTime(v.book.net)))
	return out
}

func leaseTime(n *inventory.Network) time.Duration {
	if n.LeaseTime <= 0 {
		return DefaultLeaseTime
	}
	return n.LeaseTime
}

// nameOf is the hostname that goes with an address: the inventory's, or the client's.
func (b *book) nameOf(ip netip.Addr, asked string) string {
	if a, ok := b.fixed[ip]; ok && a.Hostname != "" {
		return a.Hostname
	}
	return asked
}

// decline: the client found its address in use (RFC 2131 section 4.3.3). Only the
// holder of an address can decline it.
func (v *visit) decline() verdict {
	ip, c := v.wanted, v.client()
	h := v.book.byIP[ip]
	fixed, isFixed := v.book.fixedFor(c)
	mine := h != nil && (c.is(h.row) && h.row.Use == inventory.AddressLeased || h.offer.mac == c.mac)
	if !mine && !(isFixed && fixed.IP == ip) {
		return quiet("declined %s, which it does not hold", ip)
	}
	out := verdict{announce: inventory.AddressDeclined{IP: ip, MAC: v.mac}}
	if _, ok := v.book.fixed[ip]; ok {
		return out // stays reserved: only a person can solve that
	}
	row := inventory.Address{IP: ip, Network: v.book.net.Name, Use: inventory.AddressQuarantined, MAC: v.mac,
		ClientID: v.clientID, Expires: v.now.Add(quarantineTime), Updated: v.now, Reason: "declined by " + string(v.mac)}
	v.book.record(row)
	out.rows = []inventory.Address{row}
	return out
}

// release: the client gives its address back. It is remembered as its last.
func (v *visit) release() verdict {
	h := v.book.last(v.client())
	if h == nil || h.row.IP != v.ciaddr || !h.row.Active(v.now) {
		return quiet("released %s, which it does not hold", v.ciaddr)
	}
	row := h.row
	row.Expires, row.Updated = v.now, v.now
	v.book.record(row)
	return verdict{rows: []inventory.Address{row}}
}

// inform: the client has an address and wants the rest.
func (v *visit) inform() verdict {
	if !v.ciaddr.IsValid() {
		return quiet("INFORM without an address")
	}
	return verdict{kind: dhcpv4.MessageTypeAck, name: v.book.nameOf(v.ciaddr, v.hostname)}
}
