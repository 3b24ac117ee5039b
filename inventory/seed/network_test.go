package seed

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/inventory"
)

// TestNetworkConfig: static addresses take gateway and DNS from the network they lie in
// unless they bring their own; without facts the known MACs serve.
func TestNetworkConfig(t *testing.T) {
	ip, prefix := netip.MustParseAddr, netip.MustParsePrefix
	rack := &inventory.Network{Name: "rack", Subnet: prefix("192.0.2.0/24"), Gateway: ip("192.0.2.1"), DNS: []netip.Addr{ip("198.51.100.53")}}
	const head = "version: 2\nethernets:\n  nic0:\n    match:\n      macaddress: \"52:54:00:00:00:01\"\n"
	for name, c := range map[string]struct {
		addresses []inventory.StaticAddress
		network   *inventory.Network
		want      string
	}{
		"DHCP": {nil, rack, head + "    dhcp4: true\n"},
		"static in the network": {[]inventory.StaticAddress{{MAC: "52:54:00:00:00:01", Prefix: prefix("192.0.2.7/24")}}, rack,
			head + "    dhcp4: false\n    addresses:\n      - 192.0.2.7/24\n    routes:\n      - to: default\n        via: 192.0.2.1\n    nameservers:\n      addresses:\n        - 198.51.100.53\n"},
		"its own gateway": {[]inventory.StaticAddress{{MAC: "52:54:00:00:00:01", Prefix: prefix("192.0.2.7/24"), Gateway: ip("192.0.2.254"), DNS: []netip.Addr{ip("192.0.2.53")}}}, rack,
			head + "    dhcp4: false\n    addresses:\n      - 192.0.2.7/24\n    routes:\n      - to: default\n        via: 192.0.2.254\n    nameservers:\n      addresses:\n        - 192.0.2.53\n"},
		"another network": {[]inventory.StaticAddress{{MAC: "52:54:00:00:00:01", Prefix: prefix("203.0.113.7/24")}}, rack,
			head + "    dhcp4: false\n    addresses:\n      - 203.0.113.7/24\n"},
		"another NIC": {[]inventory.StaticAddress{{MAC: "52:54:00:00:00:99", Prefix: prefix("192.0.2.7/24")}}, rack, head + "    dhcp4: true\n"},
	} {
		m := machine()
		m.Identity.MACs, m.Spec.Addresses = []inventory.MAC{"52:54:00:00:00:01"}, c.addresses
		d, err := Make(Input{Machine: m, Network: c.network})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(d.NetworkConfig)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMakeWithoutAnyNIC(t *testing.T) {
	d, err := Make(Input{Machine: machine()})
	if err != nil {
		t.Fatal(err)
	}
	want := "version: 2\nethernets:\n  all:\n    match:\n      name: e*\n    dhcp4: true\n"
	if diff := cmp.Diff(want, string(d.NetworkConfig)); diff != "" {
		t.Errorf("network-config (-want +got):\n%s", diff)
	}
	if got := string(d.VendorData); got != "#cloud-config\n{}\n" {
		t.Errorf("vendor-data without a phone-home = %q", got)
	}
}

func TestSeedIsRefused(t *testing.T) {
	if _, err := Make(Input{Machine: machine(), UserData: []byte("hello\n")}); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("user data that cloud-init ignores: %v", err)
	}
	if _, err := Pack(Documents{}, 520); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("520-byte sectors: %v", err)
	}
}
