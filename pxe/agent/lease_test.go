package agent

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
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
