package inventory

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func rack() Network {
	ip := netip.MustParseAddr
	return Network{Name: "rack", Subnet: netip.MustParsePrefix("192.0.2.0/24"), Gateway: ip("192.0.2.1"), DNS: []netip.Addr{ip("198.51.100.53")},
		NTP: []netip.Addr{ip("198.51.100.123")}, DHCP: DHCPAuthoritative, LeaseTime: time.Hour, VLAN: 12, Chain: ChainShim,
		Pools:        []AddressRange{{ip("192.0.2.100"), ip("192.0.2.199")}, {ip("192.0.2.250"), ip("192.0.2.250")}},
		Routes:       []Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Via: ip("192.0.2.2")}},
		Reservations: []Reservation{{MAC: macA, IP: ip("192.0.2.10")}, {ClientID: "ff01", IP: ip("192.0.2.11")}}}
}

func TestNetworkCheck(t *testing.T) {
	n := rack()
	if err := n.Check(); err != nil {
		t.Fatalf("a right network: %v", err)
	}
	v6 := netip.MustParseAddr("2001:db8::1")
	for want, spoil := range map[string]func(*Network){
		`name "Rack 1"`:                   func(n *Network) { n.Name = "Rack 1" },
		"subnet":                          func(n *Network) { n.Subnet = netip.Prefix{} },
		"subnet 2001:db8::/64":            func(n *Network) { n.Subnet = netip.MustParsePrefix("2001:db8::/64") },
		"subnet 192.0.2.0/31":             func(n *Network) { n.Subnet = netip.MustParsePrefix("192.0.2.0/31") },
		`dhcp "on"`:                       func(n *Network) { n.DHCP = "on" },
		`dhcp ""`:                         func(n *Network) { n.DHCP = "" },
		"gateway 192.0.3.1":               func(n *Network) { n.Gateway = netip.MustParseAddr("192.0.3.1") },
		"dns 2001:db8::1":                 func(n *Network) { n.DNS = append(n.DNS, v6) },
		"ntp 2001:db8::1":                 func(n *Network) { n.NTP = append(n.NTP, v6) },
		"route 2001:db8::/32":             func(n *Network) { n.Routes[0].To = netip.MustParsePrefix("2001:db8::/32") },
		"via 2001:db8::1":                 func(n *Network) { n.Routes[0].Via = v6 },
		"VLAN 4095":                       func(n *Network) { n.VLAN = 4095 },
		"lease time -1s":                  func(n *Network) { n.LeaseTime = -time.Second },
		`chain "shimm"`:                   func(n *Network) { n.Chain = "shimm" },
		"pool 192.0.2.199-192.0.2.100":    func(n *Network) { n.Pools[0].First, n.Pools[0].Last = n.Pools[0].Last, n.Pools[0].First },
		"pool 192.0.2.100-192.0.3.1":      func(n *Network) { n.Pools[0].Last = netip.MustParseAddr("192.0.3.1") },
		"reservation of 192.0.3.1":        func(n *Network) { n.Reservations[0].IP = netip.MustParseAddr("192.0.3.1") },
		"reservation of 192.0.2.10 needs": func(n *Network) { n.Reservations[0].MAC = "" },
		"192.0.2.10 is reserved twice":    func(n *Network) { n.Reservations[1].IP = n.Reservations[0].IP },
	} {
		n := rack()
		spoil(&n)
		if err := n.Check(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want ErrInvalid with %q", err, want)
		}
	}
}

func TestAddressActive(t *testing.T) {
	now := stateTime
	for name, c := range map[string]struct {
		expires time.Time
		want    bool
	}{
		"for ever":    {time.Time{}, true},
		"still":       {now.Add(time.Second), true},
		"this moment": {now, false},
		"over":        {now.Add(-time.Second), false},
	} {
		if got := (Address{Expires: c.expires}).Active(now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
