package libvirt

import (
	"context"
	"net/netip"
	"time"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

// attached are a machine's NICs, with their addresses when it runs.
func (d *Driver) attached(ctx context.Context, f found, power hypervisor.PowerState) ([]hypervisor.VMNIC, error) {
	if f.desc.Devices == nil {
		return nil, nil
	}
	var nics []hypervisor.VMNIC
	for _, n := range f.desc.Devices.Interfaces {
		nic := hypervisor.VMNIC{Network: networkName(n.Source)}
		if n.MAC != nil {
			nic.MAC = macAddress(n.MAC.Address)
		}
		if n.VLan != nil && len(n.VLan.Tags) > 0 {
			nic.VLAN = int(n.VLan.Tags[0].ID)
		}
		nics = append(nics, nic)
	}
	if power != hypervisor.On {
		return nics, nil
	}
	return nics, d.address(ctx, f, nics)
}

func macAddress(s string) inventory.MAC {
	mac, err := inventory.ParseMAC(s)
	if err != nil {
		return ""
	}
	return mac
}

// sources are libvirt's, in the order of what they are worth.
var sources = []struct {
	number lv.DomainInterfaceAddressesSource
	name   hypervisor.AddressSource
	ask    func(found) bool
}{
	{lv.DomainInterfaceAddressesSrcAgent, hypervisor.FromAgent, found.hasAgent},
	{lv.DomainInterfaceAddressesSrcLease, hypervisor.FromLease, found.onNetwork},
	{lv.DomainInterfaceAddressesSrcArp, hypervisor.FromARP, found.onBridge},
}

// address asks one source after the other, as long as a NIC is without an address. A
// source that can't answer (74 no agent, 86 agent not there yet) is passed over.
func (d *Driver) address(ctx context.Context, f found, nics []hypervisor.VMNIC) error {
	for _, source := range sources {
		if !source.ask(f) || !lacksAddress(nics) {
			continue
		}
		known, err := ask(ctx, d.link, "addresses of domain "+f.Name, func(r *lv.Libvirt) ([]lv.DomainInterface, error) {
			if source.name == hypervisor.FromAgent {
				// libvirt would wait for ever for one that hangs.
				if err := limitAgent(r, f); err != nil {
					return nil, err
				}
			}
			return r.DomainInterfaceAddresses(f.Domain, uint32(source.number), 0)
		})
		switch {
		case err == nil:
			fillAddresses(nics, known, source.name)
		case !said(err):
			return err
		}
	}
	return nil
}

// limitAgent sets how long libvirt waits for an answer of the guest's agent, from now on.
func limitAgent(r *lv.Libvirt, f found) error {
	_, err := r.DomainAgentSetResponseTimeout(f.Domain, int32(agentWithin/time.Second), 0)
	return err
}

func lacksAddress(nics []hypervisor.VMNIC) bool {
	for _, n := range nics {
		if len(n.Addresses) == 0 {
			return true
		}
	}
	return false
}

// fillAddresses gives the NICs that have none what a source knows of them. Loopback and
// link-local addresses come too, and reach nobody.
func fillAddresses(nics []hypervisor.VMNIC, known []lv.DomainInterface, source hypervisor.AddressSource) {
	for i := range nics {
		if len(nics[i].Addresses) > 0 {
			continue
		}
		for _, k := range known {
			if len(k.Hwaddr) == 0 || nics[i].MAC == "" || macAddress(k.Hwaddr[0]) != nics[i].MAC {
				continue
			}
			for _, a := range k.Addrs {
				ip, err := netip.ParseAddr(a.Addr)
				if err == nil && ip.IsGlobalUnicast() {
					nics[i].Addresses = append(nics[i].Addresses, hypervisor.Address{IP: ip, Source: source})
				}
			}
		}
	}
}

// hasAgent tells whether a guest agent has opened its channel. One that has not is not
// waited for.
func (f found) hasAgent() bool {
	for _, c := range f.desc.Devices.Channels {
		if c.Target != nil && c.Target.VirtIO != nil && c.Target.VirtIO.Name == agentChannel && c.Target.VirtIO.State == "connected" {
			return true
		}
	}
	return false
}

func (f found) onNetwork() bool {
	return f.hasSource(func(s *libvirtxml.DomainInterfaceSource) bool { return s.Network != nil })
}

func (f found) onBridge() bool {
	return f.hasSource(func(s *libvirtxml.DomainInterfaceSource) bool { return s.Network != nil || s.Bridge != nil })
}

func (f found) hasSource(is func(*libvirtxml.DomainInterfaceSource) bool) bool {
	for _, n := range f.desc.Devices.Interfaces {
		if n.Source != nil && is(n.Source) {
			return true
		}
	}
	return false
}
