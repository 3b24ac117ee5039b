package dhcp

import (
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// TestSeveralNetworks: relayed clients by the relay's address, direct ones by the
// link's, each from its own pool; what belongs to no network gets silence.
func TestSeveralNetworks(t *testing.T) {
	far := inventory.Network{Name: "far", Subnet: netip.MustParsePrefix("10.5.0.0/16"), DHCP: inventory.DHCPAuthoritative, AnyClient: true,
		Pools: []inventory.AddressRange{{First: ip("10.5.1.0"), Last: ip("10.5.1.9")}}}
	r := newRig(t, lab(inventory.DHCPAuthoritative), far)
	second := &Link{Name: "boot1", MAC: "02:00:00:00:00:02", MTU: 1500, DHCP: r.conn, PXE: r.conn, Frames: r.conn}
	second.SetAddrs([]netip.Prefix{netip.MustParsePrefix("10.9.0.1/24")})
	r.s.links = append(r.s.links, second)
	near := inventory.Network{Name: "near", Subnet: netip.MustParsePrefix("10.9.0.0/24"), DHCP: inventory.DHCPAuthoritative, AnyClient: true,
		Pools: []inventory.AddressRange{{First: ip("10.9.0.50"), Last: ip("10.9.0.59")}}}
	r.s.SetNetworks([]inventory.Network{lab(inventory.DHCPAuthoritative), far, near})
	r.restock()
	offers := func(p packet, l *Link) string {
		p.kind = kindDiscover
		before := len(r.conn.sent)
		r.deliver(inbound{link: l, source: p.from(), dest: p.dest(), data: p.bytes()})
		if len(r.conn.sent) == before {
			return ""
		}
		out := r.conn.sent[len(r.conn.sent)-1]
		if out.frame {
			out.data = out.data[42:]
		}
		msg, err := dhcpv4.FromBytes(out.data)
		if err != nil {
			t.Fatal(err)
		}
		return msg.YourIPAddr.String()
	}
	for _, tt := range []struct {
		name, want string
		pkt        packet
		link       *Link
	}{
		{"on the first link", "10.0.0.100", packet{mac: mac(1)}, r.link},
		{"on the second link", "10.9.0.50", packet{mac: mac(2)}, second},
		{"behind a relay", "10.5.1.0", packet{mac: mac(3), giaddr: "10.5.0.1"}, r.link},
		{"behind a relay of another subnet, by link selection", "10.5.1.1", packet{mac: mac(4), giaddr: "10.0.0.3"}.with(82, "\x05\x04\x0a\x05\x00\x00"), r.link},
		{"behind an unknown relay", "", packet{mac: mac(5), giaddr: "10.66.0.1"}, r.link},
	} {
		if got := offers(tt.pkt, tt.link); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	renew := packet{kind: kindRequest, mac: mac(3), ciaddr: "10.5.1.0", unicast: "10.0.0.1"}
	r.sends(packet{kind: kindRequest, mac: mac(3), giaddr: "10.5.0.1", wanted: "10.5.1.0", server: "10.0.0.1"})
	if reply := r.sends(renew); reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("renewal through a router: %v, %s", reply, r.lastIgnored())
	}
}

// TestOff: not a word on a network whose DHCP is off, or that nobody described.
func TestOff(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPOff))
	if reply := r.sends(pxe(7, "PXEClient:Arch:00007")); reply != nil {
		t.Errorf("answered %v", reply)
	}
	r = newRig(t)
	if reply := r.sends(pxe(7, "PXEClient:Arch:00007")); reply != nil {
		t.Errorf("answered %v", reply)
	}
	r.link.SetAddrs(nil)
	r.s.SetNetworks([]inventory.Network{lab(inventory.DHCPProxy)})
	if reply := r.sends(pxe(7, "PXEClient:Arch:00007").with(50, "xxxx")); reply != nil {
		t.Errorf("answered %v", reply)
	}
}
