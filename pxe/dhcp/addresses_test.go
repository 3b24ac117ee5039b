package dhcp

import (
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
