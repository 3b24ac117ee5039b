package why

import (
	"fmt"
	"time"

	"ingot/inventory"
)

// dhcpTrouble: DISCOVERs came and the boot stopped there.
func dhcpTrouble(ev Evidence, a *Answer) bool {
	discover, n := ev.saw(inventory.SawDiscover)
	if n == 0 {
		return false
	}
	for _, r := range []rule{exhausted, declined, twoServers, noAddress, ignored} {
		if r(ev, a) {
			return true
		}
	}
	offer, offers := ev.saw(inventory.SawOffer)
	request, requests := ev.saw(inventory.SawRequest)
	switch {
	case offers == 0:
		a.say(fmt.Sprintf("DHCP DISCOVER seen %s (last %s), and not answered", times(n), ev.ago(discover.Last)))
		return false
	case requests == 0 || request.Last.Before(discover.Last.Add(-30*time.Second)):
		a.say(fmt.Sprintf("DHCP DISCOVER seen %s, offered %s (last %s), never requested", times(n), times(offers), ev.ago(offer.Last)))
		a.hint("the offers may not reach it: is a firewall, a VLAN or spanning tree's learning time in the way?")
		return true
	}
	return got(ev, a)
}

// got: it has an address, and fetched nothing.
func got(ev Evidence, a *Answer) bool {
	ack, n := ev.saw(inventory.SawAck)
	if n == 0 || len(ev.files()) > 0 {
		return false
	}
	a.say(fmt.Sprintf("it was given an address %s, and asked for no boot file since", ev.ago(ack.Last)))
	a.hint("is TFTP (UDP 69) blocked between it and this server?")
	return true
}

// exhausted: there was no free address.
func exhausted(ev Evidence, a *Answer) bool {
	s, n := ev.saw(inventory.SawExhausted)
	if n == 0 || ev.Now.Sub(s.Last) > 10*time.Minute {
		return false
	}
	text := fmt.Sprintf("DHCP has no free address on network %s (asked %s, last %s)", s.Values.Network, times(n), ev.ago(s.Last))
	if p, _, ok := last[inventory.PoolExhausted](ev.Server); ok {
		text += fmt.Sprintf(": all %d of the pool are taken", p.Size)
	}
	a.say(text)
	a.hint("enlarge the pool (ingot network add …), shorten the lease time, or look for what took them (ingot lease list)")
	return true
}

// declined: the client found the address in use.
func declined(ev Evidence, a *Answer) bool {
	s, n := ev.saw(inventory.SawDecline)
	if n == 0 || ev.Now.Sub(s.Last) > 10*time.Minute {
		return false
	}
	a.say(fmt.Sprintf("it declined the address it was given %s (%s, last %s): somebody else uses it", times(n), s.Values.IP, ev.ago(s.Last)))
	a.hint("a device with a fixed address stands in the pool; the address is quarantined")
	return true
}

// twoServers: offered, not requested, and another server answers as well.
func twoServers(ev Evidence, a *Answer) bool {
	discover, n := ev.saw(inventory.SawDiscover)
	_, offers := ev.saw(inventory.SawOffer)
	request, requests := ev.saw(inventory.SawRequest)
	rival, at, ok := last[inventory.OtherDHCP](ev.Server)
	if seen, k := ev.saw(inventory.SawOtherServer); k > 0 && seen.Last.After(at) {
		at, ok = seen.Last, true
	}
	taken := requests > 0 && !request.Last.Before(discover.Last)
	if !ok || taken || ev.Now.Sub(at) > time.Hour {
		return false
	}
	verb := "offered, never requested"
	if offers == 0 {
		verb = "not answered"
	}
	a.say(fmt.Sprintf("DHCP DISCOVER seen %s, %s: %s answers as well (last %s)", times(n), verb, rivalName(ev, rival), ev.ago(at)))
	if rival.Paused {
		a.say("new leases are paused because of it")
	}
	a.hint("let one server give the addresses: switch the other off, or run ingot serve with --dhcp proxy")
	return true
}

func rivalName(ev Evidence, p inventory.OtherDHCP) string {
	if p.Server.IsValid() {
		return p.Server.String()
	}
	s, _ := ev.saw(inventory.SawOtherServer)
	return s.Detail
}

// noAddress: proxy mode, and nobody gives addresses.
func noAddress(ev Evidence, a *Answer) bool {
	discover, n := ev.saw(inventory.SawDiscover)
	_, acks := ev.saw(inventory.SawAck)
	proxy := false
	for _, net := range ev.Networks {
		proxy = proxy || (net.Name == discover.Values.Network && net.DHCP == inventory.DHCPProxy)
	}
	_, others := ev.saw(inventory.SawOtherServer)
	_, _, rival := last[inventory.OtherDHCP](ev.Server)
	if !proxy || acks > 0 || others > 0 || rival || len(ev.files()) > 0 || n < 3 {
		return false
	}
	a.say(fmt.Sprintf("DHCP DISCOVER seen %s (last %s): Ingot is proxy on network %s and gives no addresses, and no other DHCP server was heard there",
		times(n), ev.ago(discover.Last), discover.Values.Network))
	a.hint("is the network's DHCP server up? Where Ingot is to give the addresses: ingot serve --dhcp authoritative")
	return true
}

// ignored: it was seen and deliberately not answered.
func ignored(ev Evidence, a *Answer) bool {
	s, n := ev.saw(inventory.SawIgnored)
	if _, offers := ev.saw(inventory.SawOffer); n == 0 || offers > 0 {
		return false
	}
	a.say(fmt.Sprintf("its DHCP requests were seen %s and not answered: %s", times(n), s.Detail))
	return true
}

// neverSeen: nothing came from it at all.
func neverSeen(ev Evidence, a *Answer) bool {
	if len(ev.Sightings) > 0 || ev.lastFile() != (time.Time{}) {
		return false
	}
	a.say("nothing was seen of it on the wire: no DHCP request of its MACs came")
	a.hint("is it switched on, cabled, in the right VLAN, with network boot enabled?")
	return true
}
