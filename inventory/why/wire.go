package why

import (
	"fmt"
	"time"

	"ingot/inventory"
)

// freshServer is how long another DHCP server that was heard counts as there.
const freshServer = time.Hour

// dialogue is what DHCP said since the client last got further.
type dialogue struct {
	// discover is the newest DISCOVER, n how many in a row, since when the first came.
	discover inventory.Sighting
	n        int64
	since    time.Time
	offer    inventory.Sighting
	offered  bool
	request  inventory.Sighting
	demanded bool
}

func (ev Evidence) dialogue() (d dialogue, ok bool) {
	d.discover, ok = ev.saw(inventory.SawDiscover, ev.begun())
	if !ok {
		return d, false
	}
	d.n, d.since = max(d.discover.Values.Streak, 1), d.discover.Values.StreakSince
	if d.since.IsZero() {
		d.since = d.discover.Last
	}
	d.offer, d.offered = ev.saw(inventory.SawOffer, d.since)
	d.request, d.demanded = ev.saw(inventory.SawRequest, d.since)
	return d, true
}

// dhcpTrouble: DISCOVERs came and the boot stopped there.
func dhcpTrouble(ev Evidence, a *Answer) bool {
	d, ok := ev.dialogue()
	if !ok {
		return false
	}
	return first(ev, a, declined, got, choseOther, denied, exhausted, twoServers, noAddress, ignored) || d.plain(ev, a)
}

// plain tells what was seen where no special cause is known.
func (d dialogue) plain(ev Evidence, a *Answer) bool {
	young := ev.Now.Sub(d.since) < stepPatience
	switch {
	case d.demanded:
		return false
	case young:
		a.say("nothing is wrong so far: it asks DHCP since %s", span(ev.Now.Sub(d.since)))
	case d.offered:
		a.say("DHCP DISCOVER seen %s, offered, never requested (last %s)", times(d.n), ev.ago(d.discover.Last))
		a.hint("the offers may not reach it: is a firewall, a VLAN or spanning tree's learning time in the way?")
	default:
		return false
	}
	return true
}

// got: it was given an address, and has asked for no file since.
func got(ev Evidence, a *Answer) bool {
	d, _ := ev.dialogue()
	ack, ok := ev.saw(inventory.SawAck, d.discover.Last)
	if !ok || ev.asked(ack.Last) {
		return false
	}
	switch {
	case ev.Now.Sub(ack.Last) < stepPatience:
		a.say("nothing is wrong so far: it was given %s %s", ack.Values.IP, ev.ago(ack.Last))
	case d.discover.Values.Class == "":
		a.say("it was given %s %s and did not ask to boot from the network: it runs what is on its disk", ack.Values.IP, ev.ago(ack.Last))
		a.hint("boot it from the network once (boot menu, or the BMC's one-time boot)")
	default:
		a.say("it was given %s %s, and asked for no boot file since", ack.Values.IP, ev.ago(ack.Last))
		a.hint("is TFTP (UDP 69) or HTTP blocked between it and this server?")
	}
	return true
}

// asked reports whether anything of a file or script was seen since t.
func (ev Evidence) asked(t time.Time) bool {
	for _, kind := range []inventory.SightingKind{inventory.SawFileProbe, inventory.SawFileDone, inventory.SawFileStopped, inventory.SawFileNotFound, inventory.SawScript} {
		if _, seen := ev.saw(kind, t); seen {
			return true
		}
	}
	return false
}

// choseOther: we offered an address, and it took another server's.
func choseOther(ev Evidence, a *Answer) bool {
	d, _ := ev.dialogue()
	other, ok := ev.saw(inventory.SawChoseOther, d.since)
	if !ok || !d.offered || d.offer.Values.IP == "" {
		return false
	}
	a.say("DHCP DISCOVER seen %s, offered, and it took the address of %s instead (last %s)", times(d.n), other.Detail, ev.ago(other.Last))
	a.hint("let one server give the addresses: switch the other off, or run ingot serve with --dhcp proxy")
	return true
}

// denied: the address that it wanted was refused, and it was given none since.
func denied(ev Evidence, a *Answer) bool {
	d, _ := ev.dialogue()
	nak, ok := ev.saw(inventory.SawNak, d.since)
	if !ok {
		return false
	}
	a.say("it asked for an address and was refused it (DHCPNAK, last %s): %s", ev.ago(nak.Last), nak.Detail)
	a.hint("another device may hold that address: ingot lease list")
	return true
}

// exhausted: there was no free address.
func exhausted(ev Evidence, a *Answer) bool {
	d, _ := ev.dialogue()
	s, ok := ev.saw(inventory.SawExhausted, d.since)
	if !ok {
		return false
	}
	size := ""
	if p, _, told := last[inventory.PoolExhausted](ev.Server); told && p.Network == s.Values.Network {
		size = fmt.Sprintf(": all %d are taken", p.Size)
	}
	a.say("DHCP DISCOVER seen %s, not answered: network %s has no free address%s (last %s)", times(d.n), s.Values.Network, size, ev.ago(s.Last))
	a.hint("enlarge the pool (ingot network add), shorten the lease time, or look for what took them (ingot lease list)")
	return true
}

// declined: the client found the address in use, and was given none since.
func declined(ev Evidence, a *Answer) bool {
	s, ok := ev.saw(inventory.SawDecline, ev.begun())
	if !ok {
		return false
	}
	if _, given := ev.saw(inventory.SawAck, s.Last); given {
		return false
	}
	a.say("it declined the address that it was given, %s (%s, last %s): somebody else uses it", s.Values.IP, times(s.Count), ev.ago(s.Last))
	a.hint("a device with a fixed address stands in the pool; the address is quarantined (ingot lease list)")
	return true
}

// twoServers: it did not take what we offered, and another server answers as well.
func twoServers(ev Evidence, a *Answer) bool {
	d, _ := ev.dialogue()
	rival, at, ok := last[inventory.OtherDHCP](ev.Server)
	name := rival.Server.String()
	if seen, heard := ev.saw(inventory.SawOtherServer, d.since); heard && seen.Last.After(at) {
		name, at, ok = seen.Detail, seen.Last, true
	}
	if !ok || d.demanded || ev.Now.Sub(at) > freshServer || ev.Now.Sub(d.since) < stepPatience && d.n < 3 {
		return false
	}
	verb := "offered, never requested"
	if !d.offered {
		verb = "not answered"
	}
	a.say("DHCP DISCOVER seen %s, %s: %s answers as well (last %s)", times(d.n), verb, name, ev.ago(at))
	if rival.Paused && !d.offered {
		a.say("new leases are paused because of it")
	}
	a.hint("let one server give the addresses: switch the other off, or run ingot serve with --dhcp proxy")
	return true
}

// noAddress: proxy mode (an offer without an address), and nobody gives one.
func noAddress(ev Evidence, a *Answer) bool {
	d, _ := ev.dialogue()
	if !d.offered || d.offer.Values.IP != "" || d.demanded || ev.Now.Sub(d.since) < stepPatience && d.n < 3 {
		return false
	}
	a.say("DHCP DISCOVER seen %s (last %s): Ingot is proxy on network %s and gives no addresses, and no other DHCP server was heard there",
		times(d.n), ev.ago(d.discover.Last), d.discover.Values.Network)
	a.hint("is the network's DHCP server up? Where Ingot is to give the addresses: ingot serve --dhcp authoritative")
	return true
}

// ignored: it was seen and deliberately not answered.
func ignored(ev Evidence, a *Answer) bool {
	d, _ := ev.dialogue()
	s, ok := ev.saw(inventory.SawIgnored, d.since)
	if !ok || d.offered && d.offer.Last.After(s.Last) {
		return false
	}
	a.say("DHCP DISCOVER seen %s, not answered%s: %s (last %s)", times(d.n), arch(d.discover), s.Detail, ev.ago(s.Last))
	return true
}

// arch names the architecture that a client gave, if it is one without a boot chain.
func arch(s inventory.Sighting) string {
	if s.Values.Arch == nil {
		return ""
	}
	return fmt.Sprintf(", architecture %d", *s.Values.Arch)
}

// neverSeen: nothing came from it at all.
func neverSeen(ev Evidence, a *Answer) bool {
	if !ev.heard().IsZero() {
		return false
	}
	a.say("nothing was seen of it on the wire: no DHCP request of its MACs came")
	a.hint("is it switched on, cabled, in the right VLAN, with network boot enabled?")
	return true
}
