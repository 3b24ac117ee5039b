package dhcp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func mac(n int) string { return fmt.Sprintf("52:54:00:00:%02x:%02x", n>>8, n&0xff) }

func TestReservations(t *testing.T) {
	net := lab(inventory.DHCPAuthoritative, func(n *inventory.Network) {
		n.Reservations = []inventory.Reservation{
			{MAC: inventory.MAC(mac(1)), IP: ip("10.0.0.20"), Hostname: "one"},
			{ClientID: "ff0102", IP: ip("10.0.0.100")},
		}
	})
	tests := []struct {
		name, want, hostname string
		pkt                  packet
	}{
		{"by MAC, outside the pool", "10.0.0.20", "one", packet{mac: mac(1)}.with(55, "\x0c")},
		{"by MAC, whatever the client id", "10.0.0.20", "", packet{mac: mac(1)}.with(61, "\x01\x02")},
		{"by client id", "10.0.0.100", "", packet{mac: mac(2)}.with(61, "\xff\x01\x02")},
		{"nobody else gets a reserved one", "10.0.0.101", "", packet{mac: mac(3), wanted: "10.0.0.100"}},
		{"static of the address table", "10.0.0.30", "srv", packet{mac: mac(4)}.with(55, "\x0c")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, net)
			r.s.Learn(inventory.Address{IP: ip("10.0.0.30"), Network: "lab", Use: inventory.AddressStatic, MAC: inventory.MAC(mac(4)), Hostname: "srv"})
			ack := r.lease(tt.pkt)
			if got := ack.YourIPAddr.String(); got != tt.want {
				t.Errorf("address %s, want %s", got, tt.want)
			}
			if got := ack.HostName(); got != tt.hostname {
				t.Errorf("hostname %q, want %q", got, tt.hostname)
			}
		})
	}
}

// TestFixedRowsBelongToLifecycle: an ACK for a static or reserved row writes nothing.
func TestFixedRowsBelongToLifecycle(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	row := inventory.Address{IP: ip("10.0.0.30"), Network: "lab", Use: inventory.AddressReserved, MAC: clientMAC}
	r.s.SetAddresses([]inventory.Address{row})
	r.lease(packet{})
	if r.commits != 0 {
		t.Errorf("%d commits, rows %v", r.commits, r.rows)
	}
	r.s.Forget(row.IP)
	if got := r.lease(packet{}).YourIPAddr.String(); got != "10.0.0.100" {
		t.Errorf("after Forget: %s, want one of the pool", got)
	}
}

// TestStages: firmware, iPXE and the system of one machine send different client ids,
// and keep one address.
func TestStages(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	for _, p := range []packet{packet{}.with(61, "\x00"+uuidOption[1:]), packet{}.with(61, "\x01\x52\x54\x00\x00\x00\x0a"),
		{}, packet{}.with(61, "\xff\x00\x00\x00\x01")} {
		if got := r.lease(p).YourIPAddr.String(); got != "10.0.0.100" {
			t.Errorf("client id %x: %s", p.opts[61], got)
		}
	}
	moved := packet{mac: mac(9)}.with(61, "\xff\x00\x00\x00\x01")
	if got := r.lease(moved).YourIPAddr.String(); got != "10.0.0.100" {
		t.Errorf("the same client id with another NIC: %s", got)
	}
}

func TestRequestedAddress(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	offer := r.sends(packet{kind: kindDiscover, wanted: "10.0.0.107"})
	if got := offer.YourIPAddr.String(); got != "10.0.0.107" {
		t.Errorf("asked for a free one: %s", got)
	}
	offer = r.sends(packet{kind: kindDiscover, mac: mac(1), wanted: "10.0.0.107"})
	if got := offer.YourIPAddr.String(); got != "10.0.0.100" {
		t.Errorf("asked for one on offer to another: %s", got)
	}
	again := r.sends(packet{kind: kindDiscover, mac: mac(1)})
	if got := again.YourIPAddr.String(); got != "10.0.0.100" {
		t.Errorf("asked again: %s, want the same offer", got)
	}
}

// TestServed: until told otherwise, only network boots, known machines, and who has a
// lease already (the agent and the system that follow a network boot).
func TestServed(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative, func(n *inventory.Network) { n.AnyClient = false }))
	if reply := r.sends(packet{kind: kindDiscover}); reply != nil {
		t.Error("a stranger was answered")
	}
	if reply := r.sends(packet{kind: kindRequest, wanted: "192.168.7.7"}); reply != nil {
		t.Error("a stranger got a NAK")
	}
	r.known[inventory.MAC(mac(2))] = true
	r.lease(packet{mac: mac(2)})
	r.lease(pxe(7, "PXEClient:Arch:00007"))
	r.lease(packet{})
}

func TestDecline(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	r.lease(packet{})
	decline := packet{kind: dhcpv4.MessageTypeDecline, wanted: "10.0.0.100", server: "10.0.0.1"}
	thief := decline
	thief.mac = mac(66)
	r.sends(thief)
	if got := r.rows[ip("10.0.0.100")].Use; got != inventory.AddressLeased {
		t.Fatalf("somebody else's DECLINE made it %s", got)
	}
	r.sends(decline)
	row := r.rows[ip("10.0.0.100")]
	if row.Use != inventory.AddressQuarantined || !row.Expires.Equal(epoch.Add(quarantineTime)) || row.Reason == "" {
		t.Errorf("row %+v", row)
	}
	want := []inventory.Payload{inventory.AddressDeclined{IP: ip("10.0.0.100"), MAC: clientMAC}}
	if diff := cmp.Diff(want, r.events, cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := r.lease(packet{}).YourIPAddr.String(); got != "10.0.0.101" {
		t.Errorf("next address %s", got)
	}
	if reply := r.sends(packet{kind: kindRequest, mac: mac(7), wanted: "10.0.0.100"}); reply == nil || reply.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("INIT-REBOOT for a quarantined address: %v", reply)
	}
}

func TestRelease(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	r.lease(packet{})
	release := packet{kind: dhcpv4.MessageTypeRelease, ciaddr: "10.0.0.100", server: "10.0.0.1", unicast: "10.0.0.1"}
	thief := release
	thief.mac = mac(66)
	r.sends(thief)
	if got := r.rows[ip("10.0.0.100")]; !got.Active(r.now) {
		t.Fatal("somebody else's RELEASE ended the lease")
	}
	if reply := r.sends(release); reply != nil {
		t.Errorf("answered: %v", reply)
	}
	if got := r.rows[ip("10.0.0.100")]; got.Active(r.now) || got.MAC != clientMAC {
		t.Errorf("row %+v, want ended and remembered", got)
	}
	if got := r.lease(packet{mac: mac(1)}).YourIPAddr.String(); got != "10.0.0.101" {
		t.Errorf("another client got %s, want one nobody had", got)
	}
	if got := r.lease(packet{}).YourIPAddr.String(); got != "10.0.0.100" {
		t.Errorf("back again: %s, want its last", got)
	}
}

func TestInform(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative, labServices))
	out, ok := r.sendsRaw(packet{kind: dhcpv4.MessageTypeInform, ciaddr: "10.0.0.50"}.with(55, "\x06\x0f\x33"))
	if !ok {
		t.Fatalf("silence: %s", r.lastIgnored())
	}
	reply, err := dhcpv4.FromBytes(out.data)
	if err != nil {
		t.Fatal(err)
	}
	if reply.MessageType() != dhcpv4.MessageTypeAck || !reply.YourIPAddr.IsUnspecified() || reply.Options.Has(dhcpv4.OptionIPAddressLeaseTime) {
		t.Errorf("reply %v", reply)
	}
	if got := reply.DomainName(); got != "lab.example" || len(reply.DNS()) != 1 {
		t.Errorf("domain %q, DNS %v", got, reply.DNS())
	}
	if out.dest.String() != "10.0.0.50:68" || len(r.rows) != 0 {
		t.Errorf("sent to %s, stored %v", out.dest, r.rows)
	}
}

func TestExhausted(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	for n := range 10 {
		r.lease(packet{mac: mac(n)})
	}
	r.restock()
	for range 3 {
		if reply := r.sends(packet{kind: kindDiscover, mac: mac(99)}); reply != nil {
			t.Fatalf("offered %v", reply.YourIPAddr)
		}
	}
	want := []inventory.Payload{inventory.PoolExhausted{Network: "lab", Size: 10}}
	if diff := cmp.Diff(want, r.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	r.pass(2 * time.Hour) // all leases end
	r.restock()
	if got := r.lease(packet{mac: mac(99)}).YourIPAddr.String(); got == "" {
		t.Error("nothing after the leases ended")
	}
}

// TestProbedAddresses: what answers a probe is quarantined and never offered.
func TestProbedAddresses(t *testing.T) {
	r := newRig(t)
	r.inUse = map[netip.Addr]inventory.MAC{ip("10.0.0.100"): "52:54:00:99:99:99", ip("10.0.0.102"): "52:54:00:99:99:98"}
	r.s.SetNetworks([]inventory.Network{lab(inventory.DHCPAuthoritative)})
	if reply := r.sends(packet{kind: kindDiscover}); reply != nil {
		t.Fatalf("offered %v before a probe", reply.YourIPAddr)
	}
	r.restock()
	for n, want := range []string{"10.0.0.101", "10.0.0.103"} {
		if got := r.lease(packet{mac: mac(n)}).YourIPAddr.String(); got != want {
			t.Errorf("address %s, want %s", got, want)
		}
	}
	if got := r.rows[ip("10.0.0.100")]; got.Use != inventory.AddressQuarantined || got.MAC != "52:54:00:99:99:99" {
		t.Errorf("row %+v", got)
	}
}

// TestRestart: leases are there again after a kill; an offer is not, and its REQUEST is
// served all the same.
func TestRestart(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	r.lease(packet{})
	offer := r.sends(packet{kind: kindDiscover, mac: mac(1)})
	after := newRig(t, lab(inventory.DHCPAuthoritative))
	after.rows = r.rows
	if err := after.s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	if reply := after.sends(packet{kind: kindRequest, ciaddr: "10.0.0.100"}); reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("renewal after a restart: %v, %s", reply, after.lastIgnored())
	}
	reply := after.sends(packet{kind: kindRequest, mac: mac(1), wanted: offer.YourIPAddr.String(), server: "10.0.0.1"})
	if reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("REQUEST after a restart: %v, %s", reply, after.lastIgnored())
	}
}

// TestNoAckWithoutCommit: what is not durable is not promised.
func TestNoAckWithoutCommit(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	offer := r.sends(packet{kind: kindDiscover})
	r.commitErr = errors.New("disk full")
	req := packet{kind: kindRequest, wanted: offer.YourIPAddr.String(), server: "10.0.0.1"}
	if reply := r.sends(req); reply != nil {
		t.Fatalf("answered without a commit: %v", reply)
	}
	r.commitErr = nil
	if reply := r.sends(req); reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("when the disk has room again: %v, %s", reply, r.lastIgnored())
	}
}

// TestConflictInGroup: one refused row does not keep the others from their ACK.
func TestConflictInGroup(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	bad := ip("10.0.0.100")
	r.s.cfg.Leases = refusing{r, bad}
	var group []outgoing
	for n := range 3 {
		offer := r.sends(packet{kind: kindDiscover, mac: mac(n)})
		p := packet{kind: kindRequest, mac: mac(n), wanted: offer.YourIPAddr.String(), server: "10.0.0.1"}
		out, ok := r.s.handle(context.Background(), inbound{link: r.link, source: p.from(), dest: p.dest(), data: p.bytes()})
		if !ok {
			t.Fatal("no answer")
		}
		group = append(group, out)
	}
	if got := len(r.s.commitGroup(context.Background(), group)); got != 2 {
		t.Errorf("%d ACKs, want 2", got)
	}
	if got := r.lease(packet{mac: mac(0)}).YourIPAddr.String(); got == bad.String() {
		t.Error("the address in conflict was offered again")
	}
}

// refusing refuses one address as taken.
type refusing struct {
	*rig
	bad netip.Addr
}

func (s refusing) Commit(ctx context.Context, rows []inventory.Address) error {
	for _, a := range rows {
		if a.IP == s.bad {
			return inventory.Conflict("%s is taken", a.IP)
		}
	}
	return s.rig.Commit(ctx, rows)
}

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
