package dhcp

import (
	"context"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// FuzzHandle feeds any bytes through the whole of handle, in both modes and on both
// ports. Whatever comes out must be a packet that clients can read, in answer to theirs.
func FuzzHandle(f *testing.F) {
	seeds := []packet{
		{kind: kindDiscover}, pxe(0, "PXEClient:Arch:00000:UNDI:002001"), pxe(7, "PXEClient:Arch:00007:UNDI:003016"),
		pxe(16, "HTTPClient:Arch:00016:UNDI:003001"), pxe(7, "PXEClient").with(77, "iPXE").with(175, "\xb1\x01\x01"),
		packet{kind: kindDiscover, giaddr: "10.0.0.3"}.with(82, "\x05\x04\x0a\x00\x00\x00\x0b\x04\x0a\x00\x00\x03"),
		{kind: kindRequest, wanted: "10.0.0.100", server: "10.0.0.1"}, {kind: kindRequest, ciaddr: "10.0.0.100"},
		{kind: dhcpv4.MessageTypeDecline, wanted: "10.0.0.100", server: "10.0.0.1"},
		{kind: dhcpv4.MessageTypeRelease, ciaddr: "10.0.0.100"}, {kind: dhcpv4.MessageTypeInform, ciaddr: "10.0.0.7"},
		packet{kind: kindDiscover}.with(55, "\x01\x03\x06\x0c\x0f\x1a\x1c\x2a\x79").with(12, "a b\x00").with(57, "\x00\x01").with(97, ""),
	}
	for i, p := range seeds {
		f.Add(p.bytes(), i%2 == 0, i%3 == 0)
		f.Add(p.bytes()[:239], false, false)
		f.Add(p.bytes()[:250], true, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, authoritative, port4011 bool) {
		mode := inventory.DHCPProxy
		if authoritative {
			mode = inventory.DHCPAuthoritative
		}
		r := newRig(t, lab(mode, labServices))
		before := len(r.conn.sent)
		for range 2 { // the second time, the first has left its marks
			r.deliver(inbound{link: r.link, port4011: port4011, source: packet{}.from(), dest: packet{}.dest(), data: data})
		}
		for _, out := range r.conn.sent[before:] {
			if out.frame {
				out.data = out.data[42:]
			}
			checkReply(t, data, out.data)
		}
	})
}

func checkReply(t *testing.T, request, data []byte) {
	reply, err := dhcpv4.FromBytes(data)
	if err != nil {
		t.Fatalf("sent what can't be parsed: %v", err)
	}
	if reply.OpCode != dhcpv4.OpcodeBootReply || string(reply.TransactionID[:]) != string(request[4:8]) {
		t.Errorf("not an answer to the request: %v", reply)
	}
	if ip := addr(reply.YourIPAddr); ip.IsValid() && !lab("").Subnet.Contains(ip) {
		t.Errorf("gave %s", ip)
	}
}

// FuzzReplyFrame: frames of other servers.
func FuzzReplyFrame(f *testing.F) {
	f.Add(offerFrame("10.0.0.2"))
	f.Add(offerFrame("10.0.0.2")[:60])
	f.Add(discoverFrame(clientMAC, [4]byte{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, ok := parseReplyFrame(b); ok && !o.IP.IsValid() {
			t.Errorf("a server without address: %+v", o)
		}
	})
}

// FuzzARP: answers to address probes.
func FuzzARP(f *testing.F) {
	f.Add(arpProbe(inventory.MAC(clientMAC).Bytes(), ip("10.0.0.5")))
	f.Add(arpProbe(inventory.MAC(clientMAC).Bytes(), ip("10.0.0.5"))[:41])
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := parseARP(b); ok && (!a.ip.IsValid() || a.mac == "") {
			t.Errorf("nobody uses nothing: %+v", a)
		}
	})
}

// TestFlood: 10,000 unknown MACs ask at once; known machines are served, and what is
// remembered of the others is bounded.
func TestFlood(t *testing.T) {
	wide := lab(inventory.DHCPAuthoritative, func(n *inventory.Network) {
		n.Pools = []inventory.AddressRange{{First: ip("10.0.0.10"), Last: ip("10.0.0.250")}}
	})
	r := newRig(t, wide)
	conn := newScriptedConn()
	known := mac(1)
	conn.only = known
	link := &Link{Name: "boot0", MAC: "02:00:00:00:00:01", MTU: 1500, DHCP: conn, Frames: conn}
	link.SetAddrs(r.link.Addrs())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.s.Run(ctx, link) }()
	r.mu.Lock()
	r.known[inventory.MAC(known)] = true
	r.mu.Unlock()
	leased := 0
	for n := range 10_000 {
		conn.in <- packet{kind: kindDiscover, mac: mac(1000 + n)}.bytes()
		if n%1000 == 500 {
			conn.in <- packet{kind: kindDiscover, mac: known}.bytes()
			offer := conn.waitFor(t, known, dhcpv4.MessageTypeOffer)
			conn.in <- packet{kind: kindRequest, mac: known, wanted: offer.YourIPAddr.String(), server: "10.0.0.1"}.bytes()
			conn.waitFor(t, known, dhcpv4.MessageTypeAck)
			leased++
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	b := r.s.byName["lab"]
	if leased != 10 {
		t.Errorf("%d exchanges of the known machine", leased)
	}
	if n := len(b.byMAC); n > 250 {
		t.Errorf("%d MACs remembered for 241 addresses", n)
	}
	if n := len(b.strangers); n > b.strangersMax() {
		t.Errorf("%d offers to strangers, want at most %d", n, b.strangersMax())
	}
	t.Logf("received %d, dropped %d, answered %d", r.s.stats.Received.Load(), r.s.stats.Dropped.Load(), r.s.stats.Answered.Load())
}
