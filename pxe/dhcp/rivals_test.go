package dhcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"ingot/inventory"
)

// fakeSniffer hears what a test says.
type fakeSniffer struct {
	says   chan OtherServer
	closed chan struct{}
	asked  atomic.Int32
}

func newFakeSniffer() *fakeSniffer {
	return &fakeSniffer{says: make(chan OtherServer, 10), closed: make(chan struct{})}
}

func (f *fakeSniffer) Discover() error { f.asked.Add(1); return nil }
func (f *fakeSniffer) Close() error    { close(f.closed); return nil }
func (f *fakeSniffer) Next() (OtherServer, error) {
	select {
	case o := <-f.says:
		return o, nil
	case <-f.closed:
		return OtherServer{}, net.ErrClosed
	}
}

func TestProbe(t *testing.T) {
	at := func(time.Duration) <-chan time.Time { c := make(chan time.Time, 1); c <- time.Time{}; return c }
	never := func(time.Duration) <-chan time.Time { return nil }
	other := OtherServer{IP: ip("10.0.0.2"), Given: ip("10.0.0.9")}
	silent := newFakeSniffer()
	found, err := Probe(context.Background(), silent, Probing{After: at})
	if err != nil || len(found) != 0 || silent.asked.Load() != 3 {
		t.Errorf("silent network: %v, %v, asked %d times", found, err, silent.asked.Load())
	}
	loud := newFakeSniffer()
	loud.says <- OtherServer{IP: ip("10.0.0.3")} // a proxy gives no address
	loud.says <- other
	found, err = Probe(context.Background(), loud, Probing{After: never})
	if diff := cmp.Diff([]OtherServer{other}, found, cmp.Comparer(sameAddr)); diff != "" || err != nil {
		t.Errorf("servers (-want +got):\n%s%v", diff, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Probe(ctx, newFakeSniffer(), Probing{After: never}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestChooseMode(t *testing.T) {
	none := func(context.Context) ([]OtherServer, error) { return nil, nil }
	one := func(context.Context) ([]OtherServer, error) { return []OtherServer{{IP: ip("10.0.0.2")}}, nil }
	broken := func(context.Context) ([]OtherServer, error) { return nil, errors.New("link is down") }
	tests := []struct {
		name  string
		g     Ground
		probe func(context.Context) ([]OtherServer, error)
		want  inventory.DHCPMode
		why   string
		bad   bool
	}{
		{"own ground", Ground{Static: true}, none, inventory.DHCPAuthoritative, "static address, no default route, and no DHCP server answered", false},
		{"address by DHCP", Ground{}, none, inventory.DHCPProxy, "the interface has no static address", false},
		{"default route", Ground{Static: true, DefaultRoute: true}, none, inventory.DHCPProxy, "the default route leaves by this interface", false},
		{"shared port", Ground{Static: true, Shared: "dnsmasq is here"}, none, inventory.DHCPProxy, "dnsmasq is here", false},
		{"another server", Ground{Static: true}, one, inventory.DHCPProxy, "DHCP server 10.0.0.2 answers there", false},
		{"no probe", Ground{Static: true}, broken, inventory.DHCPProxy, "other DHCP servers could not be looked for", true},
	}
	for _, tt := range tests {
		mode, why, err := ChooseMode(context.Background(), tt.g, tt.probe)
		if mode != tt.want || why != tt.why || (err != nil) != tt.bad {
			t.Errorf("%s: %s, %q, %v", tt.name, mode, why, err)
		}
	}
}

// TestPause: another server stops new leases, not the old ones, and no NAK goes to
// clients that may be its own; when it falls silent, all is as before.
func TestPause(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative))
	r.lease(packet{})
	r.s.heard(r.link, OtherServer{IP: ip("10.0.0.1"), Given: ip("10.0.0.9")}) // ourselves
	r.s.heard(r.link, OtherServer{IP: ip("10.0.0.2"), Given: ip("10.0.0.9"), Client: clientMAC})
	r.s.heard(r.link, OtherServer{IP: ip("10.0.0.2"), Given: ip("10.0.0.9"), Client: clientMAC})
	if reply := r.sends(packet{kind: kindDiscover, mac: mac(1)}); reply != nil {
		t.Errorf("a new client was offered %v", reply.YourIPAddr)
	}
	if got := r.lastIgnored(); got != "paused: DHCP server 10.0.0.2 answers on this network" {
		t.Errorf("reason %q", got)
	}
	if reply := r.sends(packet{kind: kindRequest, mac: mac(1), wanted: "192.168.0.7"}); reply != nil {
		t.Errorf("a client of the other server got %s", reply.MessageType())
	}
	if reply := r.sends(packet{kind: kindRequest, ciaddr: "10.0.0.100"}); reply == nil || reply.MessageType() != dhcpv4.MessageTypeAck {
		t.Errorf("renewal while paused: %v", reply)
	}
	r.pass(4 * time.Minute)
	r.s.forgetRivals()
	if reply := r.sends(packet{kind: kindDiscover, mac: mac(1)}); reply == nil {
		t.Errorf("still paused: %s", r.lastIgnored())
	}
	want := []inventory.Payload{
		inventory.OtherDHCP{Network: "lab", Server: ip("10.0.0.2"), Paused: true},
		inventory.DHCPModeChanged{Network: "lab", Mode: inventory.DHCPAuthoritative, Why: "DHCP server 10.0.0.2 is silent since 2026-11-24T12:00:00Z"},
	}
	if diff := cmp.Diff(want, r.events, cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestSoleAuthorityDoesNotPause: a person said that this network is ours; the intruder
// is told all the same.
func TestSoleAuthorityDoesNotPause(t *testing.T) {
	r := newRig(t, lab(inventory.DHCPAuthoritative, func(n *inventory.Network) { n.SoleAuthority = true }))
	r.s.heard(r.link, OtherServer{IP: ip("10.0.0.2"), Given: ip("10.0.0.9")})
	r.lease(packet{})
	want := []inventory.Payload{inventory.OtherDHCP{Network: "lab", Server: ip("10.0.0.2")}}
	if diff := cmp.Diff(want, r.events, cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestOtherServerChosen is seen in both modes.
func TestOtherServerChosen(t *testing.T) {
	for _, mode := range []inventory.DHCPMode{inventory.DHCPProxy, inventory.DHCPAuthoritative} {
		r := newRig(t, lab(mode))
		r.sends(packet{kind: kindDiscover})
		r.sends(packet{kind: kindRequest, wanted: "10.0.0.77", server: "10.0.0.2"})
		found := false
		for _, s := range r.sightings {
			found = found || s.Kind == inventory.SawChoseOther && s.Detail == "10.0.0.2" && s.MAC == clientMAC
		}
		if !found {
			t.Errorf("%s: no sighting of the other server in %v", mode, r.sightings)
		}
	}
}

func offerFrame(server string) []byte {
	msg := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootReply, HWType: 1, ClientHWAddr: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 10},
		ClientIPAddr: ip4(""), YourIPAddr: ip4("10.0.0.9"), ServerIPAddr: ip4(""), GatewayIPAddr: ip4(""),
		Options: dhcpv4.Options{53: {2}, 54: ip4(server)}}
	return frame(clientMAC, "52:54:00:00:00:02", netip.AddrPortFrom(ip(server), serverPort), netip.AddrPortFrom(ip("10.0.0.9"), clientPort), msg.ToBytes())
}

func TestParseReplyFrame(t *testing.T) {
	got, ok := parseReplyFrame(offerFrame("10.0.0.2"))
	want := OtherServer{IP: ip("10.0.0.2"), MAC: "52:54:00:00:00:02", Client: clientMAC, Given: ip("10.0.0.9")}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameAddr)); diff != "" || !ok {
		t.Errorf("%v (-want +got):\n%s", ok, diff)
	}
	if _, ok := parseReplyFrame(discoverFrame(clientMAC, [4]byte{})); ok {
		t.Error("a DISCOVER was taken for a server's answer")
	}
}
