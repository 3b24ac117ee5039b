package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"ingot/inventory"
)

// Inventory converts and checks a network of the configuration file.
func (n Network) Inventory() (inventory.Network, error) {
	out := inventory.Network{Name: n.Name, VLAN: n.VLAN, Domain: n.Domain, DHCP: inventory.DHCPMode(n.DHCP), LeaseTime: n.LeaseTime,
		SoleAuthority: n.SoleAuthority, AnyClient: n.AnyClient, Chain: inventory.BootChain(n.Chain)}
	if out.DHCP == "" {
		out.DHCP = inventory.DHCPProxy
	}
	var err error
	if out.Subnet, err = netip.ParsePrefix(n.Subnet); err != nil {
		return out, inventory.Invalid("network %s: subnet: %q (want ADDRESS/BITS)", n.Name, n.Subnet)
	}
	out.Subnet = out.Subnet.Masked()
	if n.Gateway != "" {
		if out.Gateway, err = netip.ParseAddr(n.Gateway); err != nil {
			return out, inventory.Invalid("network %s: gateway: %q is not an address", n.Name, n.Gateway)
		}
	}
	if out.DNS, err = addresses(n.Name, "dns", n.DNS); err != nil {
		return out, err
	}
	if out.NTP, err = addresses(n.Name, "ntp", n.NTP); err != nil {
		return out, err
	}
	for _, p := range n.Pools {
		r, err := ParsePool(p)
		if err != nil {
			return out, fmt.Errorf("network %s: %w", n.Name, err)
		}
		out.Pools = append(out.Pools, r)
	}
	for _, r := range n.Reservations {
		mac, err := inventory.ParseMAC(r.MAC)
		ip, err2 := netip.ParseAddr(r.IP)
		if err != nil || err2 != nil {
			return out, inventory.Invalid("network %s: reservation %q → %q (want a MAC and an address)", n.Name, r.MAC, r.IP)
		}
		out.Reservations = append(out.Reservations, inventory.Reservation{MAC: mac, IP: ip, Hostname: r.Hostname})
	}
	return out, out.Check()
}

func addresses(network, key string, texts []string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, inventory.Invalid("network %s: %s: %q is not an address", network, key, text)
		}
		out = append(out, a)
	}
	return out, nil
}

// ParsePool reads "FIRST-LAST".
func ParsePool(s string) (inventory.AddressRange, error) {
	first, last, ok := strings.Cut(s, "-")
	a, err := netip.ParseAddr(strings.TrimSpace(first))
	b, err2 := netip.ParseAddr(strings.TrimSpace(last))
	if !ok || err != nil || err2 != nil {
		return inventory.AddressRange{}, inventory.Invalid("pool %q (want FIRST-LAST, like 192.0.2.100-192.0.2.199)", s)
	}
	return inventory.AddressRange{First: a, Last: b}, nil
}

// checkInterfaces refuses a name that this host has no interface of, before anything
// long is begun for it.
func checkInterfaces(want []string) error {
	have, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	var names []string
	for _, i := range have {
		names = append(names, i.Name)
	}
	for _, name := range want {
		if !slices.Contains(names, name) {
			return fmt.Errorf("interface %q: this host has %s: %w", name, strings.Join(names, ", "), inventory.ErrNotFound)
		}
	}
	return nil
}

// interfaceNetworks makes a network of each subnet of an interface that the inventory
// has none for.
func interfaceNetworks(name string, mode inventory.DHCPMode, have []inventory.Network) ([]inventory.Network, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	var out []inventory.Network
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() || p.Bits() > 30 {
			continue
		}
		taken := slices.ContainsFunc(have, func(n inventory.Network) bool { return n.Subnet.Overlaps(p.Masked()) })
		if taken {
			continue
		}
		n := inventory.Network{Name: networkName(name, len(out)), Subnet: p.Masked(), DHCP: mode, Pools: []inventory.AddressRange{upperHalf(p)}}
		out = append(out, n)
	}
	return out, nil
}

func networkName(iface string, i int) string {
	name := strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(iface))
	if i > 0 {
		return fmt.Sprintf("%s-%d", name, i)
	}
	return name
}

// upperHalf is the default pool: the upper half of the subnet without broadcast, or its
// lower half when the server's own address is in the upper one.
func upperHalf(own netip.Prefix) inventory.AddressRange {
	base := own.Masked().Addr().As4()
	size := uint32(1) << (32 - own.Bits())
	start := be32(base)
	r := inventory.AddressRange{First: ip4(start + size/2), Last: ip4(start + size - 2)}
	if r.Contains(own.Addr()) {
		r = inventory.AddressRange{First: ip4(start + 1), Last: ip4(start + size/2 - 1)}
	}
	return r
}

func be32(b [4]byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func ip4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
