package hyperv

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"ingot/hypervisor"
	"ingot/inventory"
)

// asVM turns a machine as Hyper-V tells it into the contract's.
func (d *Driver) asVM(m machine) hypervisor.VM {
	vm := hypervisor.VM{ID: m.mark.ID, UUID: strings.ToLower(m.VMID), Name: nameOf(m), Power: powerOf(m.State), CPUs: m.Cpus, MemoryBytes: m.MemoryBytes,
		Firmware: inventory.FirmwareBIOS, SecureBoot: m.SecureBoot, TPM: m.Tpm, ImageDigest: m.mark.Image}
	if m.Generation == 2 {
		vm.Firmware = inventory.FirmwareUEFI
	}
	for _, one := range m.dataDisks() {
		vm.Disks = append(vm.Disks, hypervisor.VMDisk{Path: one.Path, SizeBytes: one.SizeBytes})
	}
	for _, n := range m.Nics {
		if card, ok := n.card(); ok {
			vm.NICs = append(vm.NICs, card)
		}
	}
	vm.Clone = d.cloneOf(m)
	return vm
}

// nameOf is the full name, unless somebody changed the one at the host.
func nameOf(m machine) string {
	if m.mark.Name != "" && m.Name == visibleName(m.mark.Name) {
		return m.mark.Name
	}
	return m.Name
}

// powerOf sorts VMState. A critical machine lost its storage.
func powerOf(state string) hypervisor.PowerState {
	switch state {
	case "Off", "OffCritical", "Hibernated":
		return hypervisor.Off
	case "Paused", "Pausing", "Saved", "FastSaved", "Saving", "FastSaving":
		return hypervisor.Paused
	}
	if strings.HasSuffix(state, "Critical") {
		return hypervisor.Crashed
	}
	return hypervisor.On
}

// dataDisks are a machine's disks without the seed, in the order of their controllers; the
// root disk of a machine with BIOS is on IDE and comes first.
func (m machine) dataDisks() []disk {
	disks := without(m.Disks, func(one disk) bool { return m.mark.State == made && one.isSeed() })
	slices.SortStableFunc(disks, func(a, b disk) int {
		return cmp.Or(strings.Compare(a.Controller, b.Controller), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Location, b.Location))
	})
	return disks
}

// isSeed: a checkpoint puts a disk on top of the seed's.
func (d disk) isSeed() bool {
	if len(d.Chain) == 0 {
		return d.Controller == scsi && d.Location == seedLocation
	}
	return strings.EqualFold(base(d.Chain[len(d.Chain)-1]), seedFile)
}

// cloneOf tells how the root disk was made.
func (d *Driver) cloneOf(m machine) hypervisor.CloneKind {
	disks := m.dataDisks()
	if m.mark.Image == "" || len(disks) == 0 {
		return ""
	}
	if len(disks[0].Chain) == 0 {
		return m.mark.Clone
	}
	if hasPath(disks[0].Chain, d.paths.image(m.mark.Image)) {
		return hypervisor.LinkedClone
	}
	return hypervisor.FullCopy
}

// card is a NIC with its addresses; one without a MAC yet is left out (a dynamic address
// is drawn when the machine is first started).
func (n nic) card() (hypervisor.VMNIC, bool) {
	mac, err := inventory.ParseMAC(withColons(n.Mac))
	if err != nil {
		return hypervisor.VMNIC{}, false
	}
	card := hypervisor.VMNIC{MAC: mac, Network: n.Switch, VLAN: n.VlanID}
	for _, told := range []struct {
		texts  []string
		source hypervisor.AddressSource
	}{{n.Told, hypervisor.FromTools}, {n.Neighbors, hypervisor.FromARP}} {
		for _, text := range told.texts {
			if ip, err := netip.ParseAddr(text); err == nil && !ip.IsLinkLocalUnicast() && !ip.IsMulticast() && !known(card.Addresses, ip) {
				card.Addresses = append(card.Addresses, hypervisor.Address{IP: ip.WithZone(""), Source: told.source})
			}
		}
	}
	return card, true
}

func known(all []hypervisor.Address, ip netip.Addr) bool {
	return slices.ContainsFunc(all, func(a hypervisor.Address) bool { return a.IP == ip.WithZone("") })
}

// withColons is twelve hex digits as a MAC address.
func withColons(digits string) string {
	var pairs []string
	for i := 0; i+2 <= len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}
