package dhcp

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// TestOptions: what a network tells, asked for and not.
func TestOptions(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative, labServices))
	all := packet{kind: kindDiscover}.with(55, "\x01\x03\x06\x0c\x0f\x1a\x1c\x2a\x79").with(12, "Node-7").with(61, "\x01abc")
	got := map[uint8]string{}
	for code, value := range r.sends(all).Options {
		got[code] = string(value)
	}
	want := map[uint8]string{1: "\xff\xff\xff\x00", 3: "\x0a\x00\x00\xfe", 6: "\x0a\x00\x00\x35", 12: "node-7", 15: "lab.example",
		26: "\x05\xdc", 28: "\x0a\x00\x00\xff", 42: "\x0a\x00\x00\x7b", 51: "\x00\x00\x0e\x10", 53: "\x02", 54: "\x0a\x00\x00\x01",
		58: "\x00\x00\x07\x08", 59: "\x00\x00\x0c\x4e", 61: "\x01abc",
		121: "\x10\x0a\x4d\x0a\x00\x00\x07\x00\x0a\x00\x00\xfe"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	plain := r.sends(packet{kind: kindDiscover, mac: mac(1)}).Options
	for _, code := range []uint8{6, 12, 15, 26, 28, 42, 121} {
		if _, ok := plain[code]; ok {
			t.Errorf("option %d was sent unasked", code)
		}
	}
}

// TestSmallClient: a reply never exceeds the client's message size.
func TestSmallClient(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative, labServices, func(n *inventory.Network) {
		for i := range 60 {
			n.Routes = append(n.Routes, inventory.Route{To: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, byte(i), 0}), 24), Via: ip("10.0.0.7")})
		}
	}))
	p := packet{kind: kindDiscover}.with(55, "\x06\x0f\x2a\x79")
	out, ok := r.sendsRaw(p)
	if !ok || len(out.data)+28 > 576 {
		t.Errorf("%d bytes to a client that said nothing", len(out.data))
	}
	out, _ = r.sendsRaw(p.with(57, "\x05\xdc"))
	if len(out.data)+28 <= 576 || len(out.data)+28 > 1500 {
		t.Errorf("%d bytes to a client that takes 1500", len(out.data))
	}
}

// TestRelay: the reply goes to the relay's port 67 with option 82 as it came, last.
func TestRelay(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	agent := "\x01\x04eth0\x02\x03abc\x97\x01\x00"
	for _, tt := range []struct {
		name string
		pkt  packet
		want dhcpv4.MessageType
	}{
		{"offer", packet{kind: kindDiscover, giaddr: "10.0.0.3"}, dhcpv4.MessageTypeOffer},
		{"ack", packet{kind: kindRequest, giaddr: "10.0.0.3", wanted: "10.0.0.100", server: "10.0.0.1"}, dhcpv4.MessageTypeAck},
		{"nak", packet{kind: kindRequest, giaddr: "10.0.0.3", wanted: "172.16.0.1"}, dhcpv4.MessageTypeNak},
	} {
		out, ok := r.sendsRaw(tt.pkt.with(82, agent))
		if !ok {
			t.Fatalf("%s: silence: %s", tt.name, r.lastIgnored())
		}
		reply, err := dhcpv4.FromBytes(out.data)
		if err != nil {
			t.Fatal(err)
		}
		if reply.MessageType() != tt.want || out.dest.String() != "10.0.0.3:67" || reply.GatewayIPAddr.String() != "10.0.0.3" {
			t.Errorf("%s: %s to %s, giaddr %s", tt.name, reply.MessageType(), out.dest, reply.GatewayIPAddr)
		}
		if got := string(reply.Options[82]); got != agent {
			t.Errorf("%s: option 82 %q, want %q", tt.name, got, agent)
		}
		if tt.want == dhcpv4.MessageTypeNak && !reply.IsBroadcast() {
			t.Error("NAK through a relay without the broadcast flag")
		}
	}
	override := packet{kind: kindDiscover, mac: mac(5), giaddr: "10.0.0.3"}.with(82, "\x0b\x04\x0a\x00\x00\x03")
	if got := r.sends(override).ServerIdentifier().String(); got != "10.0.0.3" {
		t.Errorf("server identifier %s, want the relay's override", got)
	}
}

// TestDestinations: RFC 2131 section 4.1.
func TestDestinations(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	out, _ := r.sendsRaw(packet{kind: kindDiscover})
	if !out.frame {
		t.Error("offer to a client without address and broadcast flag: not a frame to its MAC")
	}
	frame := r.conn.sent[len(r.conn.sent)-1].data
	if string(frame[:12]) != "\x52\x54\x00\x00\x00\x0a\x02\x00\x00\x00\x00\x01" || checksum(0, frame[14:34]) != 0 {
		t.Errorf("frame header % x", frame[:34])
	}
	if pseudo := sum(0, frame[26:34]) + 17 + uint32(len(frame)-34); checksum(pseudo, frame[34:]) != 0 {
		t.Errorf("UDP checksum is wrong: % x", frame[34:42])
	}
	if got := addr(frame[30:34]).String(); got != "10.0.0.100" {
		t.Errorf("sent to %s", got)
	}
	out, _ = r.sendsRaw(packet{kind: kindDiscover, bcast: true})
	if out.dest.String() != "255.255.255.255:68" {
		t.Errorf("offer with broadcast flag to %s", out.dest)
	}
	r.lease(packet{})
	out, _ = r.sendsRaw(packet{kind: kindRequest, ciaddr: "10.0.0.100", unicast: "10.0.0.1"})
	if out.dest.String() != "10.0.0.100:68" || out.source.String() != "10.0.0.1" {
		t.Errorf("renewal from %s to %s", out.source, out.dest)
	}
	out, _ = r.sendsRaw(packet{kind: kindRequest, ciaddr: "172.16.0.1"})
	if out.dest.String() != "255.255.255.255:68" {
		t.Errorf("NAK to %s", out.dest)
	}
}
