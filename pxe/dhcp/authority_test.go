package dhcp

import (
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"net/netip"

	"ingot/inventory"
)

const (
	kindDiscover = dhcpv4.MessageTypeDiscover
	kindRequest  = dhcpv4.MessageTypeRequest
)

// lease runs DISCOVER and REQUEST and returns the ACK.
func (r *rig) lease(p packet) *dhcpv4.DHCPv4 {
	r.t.Helper()
	p.kind = kindDiscover
	offer := r.sends(p)
	if offer == nil {
		r.t.Fatalf("no offer to %s: %s", p.mac, r.lastIgnored())
	}
	p.kind, p.wanted, p.server = kindRequest, offer.YourIPAddr.String(), "10.0.0.1"
	ack := r.sends(p)
	if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck {
		r.t.Fatalf("no ACK: %v, %s", ack, r.lastIgnored())
	}
	return ack
}

func TestDiscoverRequest(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	ack := r.lease(packet{})
	if got := ack.YourIPAddr.String(); got != "10.0.0.100" {
		t.Errorf("address %s, want the pool's first", got)
	}
	if got := ack.IPAddressLeaseTime(0); got != time.Hour {
		t.Errorf("lease time %v, want 1h", got)
	}
	if t1, t2 := ack.IPAddressRenewalTime(0), ack.IPAddressRebindingTime(0); t1 != 30*time.Minute || t2 != 52*time.Minute+30*time.Second {
		t.Errorf("T1 %v, T2 %v", t1, t2)
	}
	row := r.rows[netip.MustParseAddr("10.0.0.100")]
	if row.MAC != clientMAC || row.Use != inventory.AddressLeased || !row.Expires.Equal(epoch.Add(time.Hour)) {
		t.Errorf("stored row %+v", row)
	}
}

// TestReplyIsSeenBeforeItLeaves: what a client does with a reply must not look older than
// the reply, however long the server slept after sending it.
func TestReplyIsSeenBeforeItLeaves(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	r.conn.onSend = func() { r.pass(time.Second) }
	if r.sends(packet{kind: kindDiscover, giaddr: "10.0.0.1"}) == nil {
		t.Fatalf("no offer: %s", r.lastIgnored())
	}
	last := r.sightings[len(r.sightings)-1]
	if last.Kind != inventory.SawOffer || !last.Last.Equal(epoch) {
		t.Errorf("%s at %s, want the offer at %s", last.Kind, last.Last, epoch)
	}
}

// TestRequestKinds walks RFC 2131 table 4 and section 4.3.2: which REQUEST is answered
// with what, for a client that holds 10.0.0.100 and one that holds nothing.
func TestRequestKinds(t *testing.T) {
	const other = "52:54:00:00:00:0b"
	tests := []struct {
		name string
		net  func(*inventory.Network)
		pkt  packet
		want string // ack, nak, "" for silence
	}{
		{name: "selecting us", pkt: packet{wanted: "10.0.0.100", server: "10.0.0.1"}, want: "ack"},
		{name: "selecting another server", pkt: packet{wanted: "10.0.0.100", server: "10.0.0.9"}},
		{name: "selecting, address held by another", pkt: packet{mac: other, wanted: "10.0.0.100", server: "10.0.0.1"}, want: "nak"},
		{name: "selecting, forgotten offer of a free address", pkt: packet{mac: other, wanted: "10.0.0.105", server: "10.0.0.1"}, want: "ack"},
		{name: "selecting, address outside pools", pkt: packet{mac: other, wanted: "10.0.0.50", server: "10.0.0.1"}},
		{name: "selecting, address outside network", pkt: packet{mac: other, wanted: "10.9.0.50", server: "10.0.0.1"}, want: "nak"},
		{name: "init-reboot", pkt: packet{wanted: "10.0.0.100"}, want: "ack"},
		{name: "init-reboot, outside network", pkt: packet{wanted: "192.168.1.5"}, want: "nak"},
		{name: "init-reboot, held by another", pkt: packet{mac: other, wanted: "10.0.0.100"}, want: "nak"},
		{name: "init-reboot, no record", pkt: packet{mac: other, wanted: "10.0.0.105"}},
		{name: "init-reboot, no record, sole authority", pkt: packet{mac: other, wanted: "10.0.0.105"},
			net: func(n *inventory.Network) { n.SoleAuthority = true }, want: "nak"},
		{name: "init-reboot for our own address", pkt: packet{mac: other, wanted: "10.0.0.1"}, want: "nak"},
		{name: "renewing", pkt: packet{ciaddr: "10.0.0.100", unicast: "10.0.0.1"}, want: "ack"},
		{name: "renewing, no record", pkt: packet{mac: other, ciaddr: "10.0.0.105", unicast: "10.0.0.1"}},
		{name: "renewing, held by another", pkt: packet{mac: other, ciaddr: "10.0.0.100", unicast: "10.0.0.1"}, want: "nak"},
		{name: "rebinding", pkt: packet{ciaddr: "10.0.0.100"}, want: "ack"},
		{name: "rebinding, outside network", pkt: packet{ciaddr: "172.16.0.9"}, want: "nak"},
		{name: "rebinding, no record", pkt: packet{mac: other, ciaddr: "10.0.0.106"}},
		{name: "no address named", pkt: packet{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := lab(inventory.DHCPAuthoritative)
			if tt.net != nil {
				tt.net(&n)
			}
			r := newRig(t, n)
			r.lease(packet{})
			r.pass(10 * time.Minute)
			tt.pkt.kind = kindRequest
			reply := r.sends(tt.pkt)
			got := ""
			if reply != nil {
				got = map[dhcpv4.MessageType]string{dhcpv4.MessageTypeAck: "ack", dhcpv4.MessageTypeNak: "nak"}[reply.MessageType()]
			}
			if got != tt.want {
				t.Fatalf("got %q, want %q (%s)", got, tt.want, r.lastIgnored())
			}
			if got == "ack" {
				row := r.rows[netip.MustParseAddr(reply.YourIPAddr.String())]
				if !row.Expires.Equal(epoch.Add(70 * time.Minute)) {
					t.Errorf("lease ends %v, want it extended", row.Expires)
				}
			}
		})
	}
}
