package seed

import (
	"fmt"
	"net/netip"

	"ingot/inventory"
)

type ethernet struct {
	Match       map[string]string   `yaml:"match"`
	SetName     string              `yaml:"set-name,omitempty"`
	DHCP4       bool                `yaml:"dhcp4"`
	Optional    bool                `yaml:"optional,omitempty"`
	Addresses   []string            `yaml:"addresses,omitempty"`
	Routes      []map[string]string `yaml:"routes,omitempty"`
	Nameservers map[string][]string `yaml:"nameservers,omitempty"`
}

// networkConfig matches NICs by MAC: the kernel's names of the agent's boot need not be
// those of the installed system. Without static addresses every NIC asks DHCP, and only
// the boot NIC is waited for.
func networkConfig(in Input) ([]byte, error) {
	eths := map[string]ethernet{}
	boot := bootMAC(in)
	for i, mac := range macs(in) {
		e := ethernet{Match: map[string]string{"macaddress": string(mac)}, DHCP4: true, Optional: boot != "" && mac != boot}
		for _, a := range in.Machine.Spec.Addresses {
			if a.MAC == mac {
				e = static(e, a, in.Network)
			}
		}
		eths[fmt.Sprintf("nic%d", i)] = e
	}
	if len(eths) == 0 {
		eths["all"] = ethernet{Match: map[string]string{"name": "e*"}, DHCP4: true}
	}
	return marshal("network-config", "", struct {
		Version   int                 `yaml:"version"`
		Ethernets map[string]ethernet `yaml:"ethernets"`
	}{2, eths})
}

func macs(in Input) []inventory.MAC {
	var out []inventory.MAC
	for _, n := range in.NICs {
		out = append(out, n.MAC)
	}
	if len(out) == 0 {
		out = in.Machine.Identity.MACs
	}
	return out
}

func bootMAC(in Input) inventory.MAC {
	for _, n := range in.NICs {
		if n.Boot {
			return n.MAC
		}
	}
	return ""
}

func static(e ethernet, a inventory.StaticAddress, n *inventory.Network) ethernet {
	e.DHCP4, e.Addresses = false, []string{a.Prefix.String()}
	gateway, dns := a.Gateway, a.DNS
	if n != nil && n.Subnet.Contains(a.Prefix.Addr()) {
		if !gateway.IsValid() {
			gateway = n.Gateway
		}
		if len(dns) == 0 {
			dns = n.DNS
		}
	}
	if gateway.IsValid() {
		e.Routes = []map[string]string{{"to": "default", "via": gateway.String()}}
	}
	if len(dns) > 0 {
		e.Nameservers = map[string][]string{"addresses": texts(dns)}
	}
	return e
}

func texts(as []netip.Addr) []string {
	var out []string
	for _, a := range as {
		out = append(out, a.String())
	}
	return out
}
