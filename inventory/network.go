package inventory

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// DHCPMode is what Ingot does on a network.
type DHCPMode string

// The modes. Proxy is the default: it gives boot files and no addresses.
const (
	DHCPProxy         DHCPMode = "proxy"
	DHCPAuthoritative DHCPMode = "authoritative"
	DHCPOff           DHCPMode = "off"
)

// Network is one IPv4 subnet and what Ingot may do on it.
type Network struct {
	Name   string       `json:"name"`
	Subnet netip.Prefix `json:"subnet"`
	// VLAN is 0 when untagged.
	VLAN    int          `json:"vlan,omitempty"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	DNS     []netip.Addr `json:"dns,omitempty"`
	NTP     []netip.Addr `json:"ntp,omitempty"`
	Domain  string       `json:"domain,omitempty"`
	Routes  []Route      `json:"routes,omitempty"`
	DHCP    DHCPMode     `json:"dhcp"`
	// Pools are the dynamic ranges of an authoritative network.
	Pools        []AddressRange `json:"pools,omitempty"`
	Reservations []Reservation  `json:"reservations,omitempty"`
	// LeaseTime is what clients get; T1 and T2 are a half and seven eighths of it.
	LeaseTime time.Duration `json:"leaseTime,omitempty"`
	// SoleAuthority lets Ingot answer NAK to clients it has no record of.
	SoleAuthority bool `json:"soleAuthority,omitempty"`
	// AnyClient gives leases to clients that are neither known nor booting from the
	// network. Off until told otherwise.
	AnyClient bool `json:"anyClient,omitempty"`
	// Chain overrides the choice of boot chain for all machines on it.
	Chain BootChain `json:"chain,omitempty"`
}

// Route is a classless static route (RFC 3442).
type Route struct {
	To  netip.Prefix `json:"to"`
	Via netip.Addr   `json:"via"`
}

// AddressRange holds both ends.
type AddressRange struct {
	First netip.Addr `json:"first"`
	Last  netip.Addr `json:"last"`
}

// Contains reports whether ip is in the range.
func (r AddressRange) Contains(ip netip.Addr) bool {
	return r.First.Compare(ip) <= 0 && ip.Compare(r.Last) <= 0
}

// Reservation fixes an address for a MAC or a client identifier (hex).
type Reservation struct {
	MAC      MAC        `json:"mac,omitempty"`
	ClientID string     `json:"clientId,omitempty"`
	IP       netip.Addr `json:"ip"`
	Hostname string     `json:"hostname,omitempty"`
}

// Check reports the first thing wrong with the network, as ErrInvalid.
func (n *Network) Check() error {
	if err := CheckName(n.Name); err != nil {
		return err
	}
	if !n.Subnet.IsValid() || !n.Subnet.Addr().Is4() || n.Subnet.Bits() > 30 {
		return Invalid("network %s: subnet %s (want IPv4 with a prefix of at most /30)", n.Name, n.Subnet)
	}
	switch n.DHCP {
	case DHCPProxy, DHCPAuthoritative, DHCPOff:
	default:
		return Invalid("network %s: dhcp %q (want proxy, authoritative or off)", n.Name, n.DHCP)
	}
	if n.Gateway.IsValid() && !n.Subnet.Contains(n.Gateway) {
		return Invalid("network %s: gateway %s is outside %s", n.Name, n.Gateway, n.Subnet)
	}
	if n.Gateway == n.Subnet.Masked().Addr() {
		return Invalid("network %s: gateway %s is the network's own address", n.Name, n.Gateway)
	}
	if n.VLAN < 0 || n.VLAN > 4094 {
		return Invalid("network %s: VLAN %d (want 1 to 4094, or 0 for none)", n.Name, n.VLAN)
	}
	if n.LeaseTime < 0 {
		return Invalid("network %s: lease time %s is negative", n.Name, n.LeaseTime)
	}
	if !slices.Contains(chains, n.Chain) {
		return Invalid("network %s: chain %q (want shim, snponly, ipxe, undionly or none)", n.Name, n.Chain)
	}
	return errors.Join(n.checkServers(), n.checkAddresses())
}

// CheckBeside refuses a network that has addresses of another one: DHCP would answer by
// either of them. What to do with the other one, advice says of its name.
func (n *Network) CheckBeside(others []Network, advice func(other string) string) error {
	for _, o := range others {
		if o.Name != n.Name && o.Subnet.Overlaps(n.Subnet) {
			return Conflict("network %s: network %s has addresses of %s too: %s (%s)", n.Name, o.Name, n.Subnet, o.Subnet, advice(o.Name))
		}
	}
	return nil
}

var chains = []BootChain{ChainAuto, ChainShim, ChainSNP, ChainIPXE, ChainUndionly, ChainNone}

// checkServers: DHCPv4 options hold IPv4 addresses alone.
func (n *Network) checkServers() error {
	for key, servers := range map[string][]netip.Addr{"dns": n.DNS, "ntp": n.NTP} {
		for _, a := range servers {
			if !a.Is4() {
				return Invalid("network %s: %s %s is not an IPv4 address", n.Name, key, a)
			}
		}
	}
	for _, r := range n.Routes {
		if !r.To.IsValid() || !r.To.Addr().Is4() || !r.Via.Is4() {
			return Invalid("network %s: route %s via %s (want IPv4)", n.Name, r.To, r.Via)
		}
	}
	return nil
}

func (n *Network) checkAddresses() error {
	for _, p := range n.Pools {
		if p.First.Compare(p.Last) > 0 {
			return Invalid("network %s: pool %s-%s ends before it begins", n.Name, p.First, p.Last)
		}
		if !n.Subnet.Contains(p.First) || !n.Subnet.Contains(p.Last) {
			return Invalid("network %s: pool %s-%s does not lie in %s", n.Name, p.First, p.Last, n.Subnet)
		}
	}
	taken := map[netip.Addr]bool{}
	for _, r := range n.Reservations {
		if !n.Subnet.Contains(r.IP) || (r.MAC == "" && r.ClientID == "") {
			return Invalid("network %s: reservation of %s needs a MAC or client id and an address in %s", n.Name, r.IP, n.Subnet)
		}
		if taken[r.IP] {
			return Invalid("network %s: %s is reserved twice", n.Name, r.IP)
		}
		taken[r.IP] = true
	}
	return nil
}

// AddressUse is why an address is taken.
type AddressUse string

// The uses. Static and Reserved are given by lifecycle and by people; Leased and
// Quarantined by DHCP.
const (
	AddressStatic      AddressUse = "static"
	AddressReserved    AddressUse = "reserved"
	AddressLeased      AddressUse = "leased"
	AddressQuarantined AddressUse = "quarantined"
)

// Address is one row of the single address table: unique by IP.
type Address struct {
	IP      netip.Addr `json:"ip"`
	Network string     `json:"network"`
	Use     AddressUse `json:"use"`
	MAC     MAC        `json:"mac,omitempty"`
	// ClientID is option 61 in hex, empty when the client sent none.
	ClientID string `json:"clientId,omitempty"`
	Machine  string `json:"machine,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	// Expires is zero for what doesn't.
	Expires time.Time `json:"expires,omitzero"`
	Updated time.Time `json:"updated"`
	// Reason tells why it is quarantined.
	Reason string `json:"reason,omitempty"`
}

// Active reports whether the address is taken at the time now.
func (a Address) Active(now time.Time) bool { return a.Expires.IsZero() || now.Before(a.Expires) }
