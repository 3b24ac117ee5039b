package dhcp

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// BenchmarkExchange is the server's own work for one lease: DISCOVER, OFFER, REQUEST,
// ACK, without sockets and store.
func BenchmarkExchange(b *testing.B) {
	net := lab(inventory.DHCPAuthoritative, func(n *inventory.Network) {
		n.Subnet = netip.MustParsePrefix("10.0.0.0/8")
		n.Pools = []inventory.AddressRange{{First: ip("10.1.0.0"), Last: ip("10.250.255.255")}}
	})
	r := newRig(b, net)
	r.s.cfg.Leases, r.s.cfg.Observer = nothing{}, nothing{}
	r.link.DHCP, r.link.Frames = nothing{}, nothing{}
	discover, request := packet{kind: kindDiscover}.bytes(), packet{kind: kindRequest, wanted: "10.0.0.1", server: "10.0.0.1"}.bytes()
	at := wantedOffset(request)
	in := inbound{link: r.link, source: packet{}.from(), dest: packet{}.dest()}
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		if n++; n%512 == 0 {
			b.StopTimer()
			r.restock()
			b.StartTimer()
		}
		binary.BigEndian.PutUint32(discover[30:], n)
		copy(request[28:34], discover[28:34])
		in.data = discover
		offer, ok := r.s.handle(context.Background(), in)
		if !ok {
			b.Fatalf("no offer for %d", n)
		}
		copy(request[at:], offer.reply.YourIPAddr)
		r.s.send(offer)
		in.data = request
		ack, ok := r.s.handle(context.Background(), in)
		if !ok || ack.reply.MessageType() != dhcpv4.MessageTypeAck {
			b.Fatalf("no ACK for %d", n)
		}
		for _, out := range r.s.commitGroup(context.Background(), []outgoing{ack}) {
			r.s.send(out)
		}
	}
}

// wantedOffset is where option 50 has its value.
func wantedOffset(b []byte) int {
	for i := 240; b[i] != 255; i += 2 + int(b[i+1]) {
		if b[i] == 50 {
			return i + 2
		}
	}
	panic("no option 50")
}

// nothing takes everything and keeps nothing.
type nothing struct{}

func (nothing) Addresses(context.Context) ([]inventory.Address, error) { return nil, nil }
func (nothing) Commit(context.Context, []inventory.Address) error      { return nil }
func (nothing) Saw(inventory.Sighting)                                 {}
func (nothing) Write([]byte, netip.Addr, netip.AddrPort) error         { return nil }
func (nothing) Send([]byte) error                                      { return nil }
func (nothing) Stop() error                                            { return nil }
func (nothing) Close() error                                           { return nil }
func (nothing) Read([]byte) (int, netip.AddrPort, netip.Addr, error) {
	return 0, netip.AddrPort{}, netip.Addr{}, context.Canceled
}
