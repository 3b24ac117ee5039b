package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func TestParseLease(t *testing.T) {
	mask := dhcpv4.WithNetmask(net.CIDRMask(24, 32))
	address := dhcpv4.WithYourIP(net.IPv4(192, 0, 2, 7))
	for _, c := range []struct {
		name    string
		options []dhcpv4.Modifier
		problem string
		address string
		gateway string
		renew   time.Duration
	}{
		{"plain", []dhcpv4.Modifier{address, mask, dhcpv4.WithLeaseTime(600)}, "", "192.0.2.7/24", "", 5 * time.Minute},
		{"router and T1", []dhcpv4.Modifier{address, mask, dhcpv4.WithLeaseTime(600), dhcpv4.WithRouter(net.IPv4(192, 0, 2, 1)),
			dhcpv4.WithGeneric(dhcpv4.OptionRenewTimeValue, []byte{0, 0, 0, 120})}, "", "192.0.2.7/24", "192.0.2.1", 2 * time.Minute},
		{"no lease time", []dhcpv4.Modifier{address, mask}, "", "192.0.2.7/24", "", 30 * time.Minute},
		{"lease of a second", []dhcpv4.Modifier{address, mask, dhcpv4.WithLeaseTime(1)}, "", "192.0.2.7/24", "", renewMin},
		{"no address", []dhcpv4.Modifier{mask}, "server gave address 0.0.0.0", "", "", 0},
		{"no mask", []dhcpv4.Modifier{address}, "server gave address 192.0.2.7", "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ack, err := dhcpv4.New(c.options...)
			if err != nil {
				t.Fatal(err)
			}
			l, err := parseLease("eth0", &nclient4.Lease{ACK: ack})
			if text := contains(err, c.problem); text != "" {
				t.Fatal(text)
			}
			if err != nil {
				return
			}
			gateway := netip.Addr{}
			if c.gateway != "" {
				gateway = netip.MustParseAddr(c.gateway)
			}
			if l.address != netip.MustParsePrefix(c.address) || l.gateway != gateway || l.renew != c.renew {
				t.Errorf("got %+v", l)
			}
		})
	}
}

// inNamespace runs the rest of the test in a network namespace of its own, with a cable
// between the interfaces agent0 and server0.
func inNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine
	if _, err := netns.New(); err != nil {
		t.Skipf("no network namespace: %v", err)
	}
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "agent0"}, PeerName: "server0"}
	if err := netlink.LinkAdd(cable); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(up("lo"), up("agent0"), up("server0")); err != nil {
		t.Fatal(err)
	}
	server, err := netlink.LinkByName("server0")
	if err == nil {
		err = netlink.AddrAdd(server, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix("192.0.2.1/24"))})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func addresses(t *testing.T, name string) []string {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range list {
		out = append(out, a.IPNet.String())
	}
	return out
}

// TestLeaseMoves: the server no longer knows the lease and gives another address.
func TestLeaseMoves(t *testing.T) {
	inNamespace(t)
	var gives atomic.Pointer[net.IP]
	first, second := net.IPv4(192, 0, 2, 7), net.IPv4(192, 0, 2, 8)
	gives.Store(&first)
	var classes sync.Map
	handler := func(conn net.PacketConn, _ net.Addr, m *dhcpv4.DHCPv4) {
		ip := *gives.Load()
		classes.Store(m.ClassIdentifier(), len(m.ClientArch()))
		kind := dhcpv4.MessageTypeOffer
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			kind = dhcpv4.MessageTypeAck
			if asked := m.RequestedIPAddress(); !ip.Equal(asked) && !ip.Equal(m.ClientIPAddr) {
				kind = dhcpv4.MessageTypeNak
			}
		}
		reply, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(ip), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
			dhcpv4.WithServerIP(net.IPv4(192, 0, 2, 1)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 1))), dhcpv4.WithLeaseTime(600))
		if err == nil {
			_, err = conn.WriteTo(reply.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 68})
		}
		if err != nil {
			t.Error(err)
		}
	}
	srv, err := server4.NewServer("server0", nil, handler)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = srv.Serve(); close(done) }() // ends with Close
	defer func() { _ = srv.Close(); <-done }()
	l, err := request(t.Context(), "agent0", true)
	if err == nil {
		err = l.configure()
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := classes.Load(agentClass); !ok || n != 1 {
		t.Errorf("the server saw class %q: %v with %v architectures", agentClass, ok, n)
	}
	gives.Store(&second)
	next, err := l.renewed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"192.0.2.8/24"}, addresses(t, "agent0")); diff != "" || next.address.String() != "192.0.2.8/24" {
		t.Errorf("lease %s (-want +got)\n%s", next.address, diff)
	}
	if same, err := next.renewed(t.Context()); err != nil || same.address != next.address {
		t.Errorf("renewed: %+v, %v", same, err)
	}
	if err := next.remove(); err != nil || len(addresses(t, "agent0")) != 0 {
		t.Errorf("removed: %v, %v", err, addresses(t, "agent0"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := next.keep(ctx, slog.New(slog.DiscardHandler), func(*lease) {}); err != nil {
		t.Error(err)
	}
}
