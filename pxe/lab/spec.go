package lab

import (
	"net/netip"

	"ingot/hypervisor/qemu"
)

// Spec is what a rack consists of. It is kept as JSON in the rack's directory.
type Spec struct {
	// Name is the rack's name, from which the namespaces get theirs. Empty: "lab".
	Name     string    `json:"name"`
	Networks []Network `json:"networks"`
	Machines []Machine `json:"machines"`
	// Accelerator runs the guests. Empty: KVM where a probe shows that it works,
	// else emulation.
	Accelerator qemu.Accelerator `json:"accelerator"`
	// Attached machines end with the program that switched them on. Otherwise
	// they run until they are switched off.
	Attached bool `json:"attached,omitempty"`
}

// Network is one Ethernet segment: a bridge called Name.
type Network struct {
	// Name is 1 to 11 lower-case letters, digits and hyphens.
	Name string `json:"name"`
	// Address is the address on the bridge with its subnet, in the rack's
	// namespace, or the router's for a network behind one. The zero value is a
	// segment on which nobody answers.
	Address netip.Prefix `json:"address,omitzero"`
	// Router puts the network into a namespace of its own, behind a router.
	Router *Router `json:"router,omitempty"`
}

// Router joins a network to another one of the rack. It forwards IPv4 and
// nothing else; a DHCP relay is for the caller to run in its namespace.
type Router struct {
	// Uplink is the name of the network it stands in; that one needs an address.
	Uplink string `json:"uplink"`
	// Address is the router's address in the uplink's subnet.
	Address netip.Addr `json:"address"`
}

// Machine is one machine of the rack.
type Machine struct {
	// Name is 1 to 40 lower-case letters, digits and hyphens.
	Name string `json:"name"`
	// Firmware is BIOS when empty.
	Firmware qemu.Firmware `json:"firmware"`
	// HTTPFirst puts UEFI HTTP boot before PXE.
	HTTPFirst bool `json:"http_first,omitempty"`
	// Boot and FixedBoot are as in qemu.Config.
	Boot      qemu.BootOrder `json:"boot,omitempty"`
	FixedBoot bool           `json:"fixed_boot,omitempty"`
	// MemoryMiB is 2048 when 0.
	MemoryMiB int `json:"memory_mib"`
	// CPUs is 1 when 0.
	CPUs  int    `json:"cpus"`
	Disks []Disk `json:"disks"`
	NICs  []NIC  `json:"nics"`
	// UUID is derived from the names of rack and machine when empty.
	UUID string `json:"uuid"`
	// SMBIOS has the serial "LAB-" and the machine's name when it has none.
	SMBIOS qemu.SMBIOS `json:"smbios"`
	TPM    bool        `json:"tpm,omitempty"`
	// CDROM and USBDisk are paths of boot media.
	CDROM   string `json:"cdrom,omitempty"`
	USBDisk string `json:"usb_disk,omitempty"`
	// ExtraArgs are added to QEMU's arguments.
	ExtraArgs []string `json:"extra_args,omitempty"`
}

// Disk is one disk, blank at first: a sparse file in the machine's directory.
type Disk struct {
	// Bus is virtio when empty.
	Bus qemu.Bus `json:"bus"`
	// SizeBytes is 8 GiB when 0.
	SizeBytes int64 `json:"size_bytes"`
	// SectorBytes is the logical sector size, 512 or 4096. 0: 512.
	SectorBytes int `json:"sector_bytes"`
	// Serial is derived from the machine's name when empty.
	Serial string `json:"serial"`
	// WWN is the world wide name, where the bus has one. 0: none.
	WWN uint64 `json:"wwn,omitempty"`
}

// NIC is one network card.
type NIC struct {
	// Network is the name of a network of the rack. Required.
	Network string `json:"network"`
	// Model is virtio when empty.
	Model qemu.NICModel `json:"model"`
	// MAC is derived from the names of rack and machine when empty.
	MAC string `json:"mac"`
	// BootIndex is as in qemu.NIC.
	BootIndex int `json:"boot_index,omitempty"`
}

const (
	defaultName      = "lab"
	defaultMemoryMiB = 2048
	defaultDiskBytes = 8 << 30
)

// withDefaults fills in what was left empty, except the accelerator.
func (s Spec) withDefaults() Spec {
	s.Name = or(s.Name, defaultName)
	s.Networks = append([]Network(nil), s.Networks...)
	machines := make([]Machine, len(s.Machines))
	for i, m := range s.Machines {
		machines[i] = m.withDefaults(s.Name)
	}
	s.Machines = machines
	return s
}

func (m Machine) withDefaults(rack string) Machine {
	m.Firmware = or(m.Firmware, qemu.FirmwareBIOS)
	m.MemoryMiB = or(m.MemoryMiB, defaultMemoryMiB)
	m.CPUs = or(m.CPUs, 1)
	m.UUID = or(m.UUID, derivedUUID(rack, m.Name))
	m.SMBIOS.Serial = or(m.SMBIOS.Serial, "LAB-"+m.Name)
	m.SMBIOS.Manufacturer = or(m.SMBIOS.Manufacturer, "Ingot")
	m.SMBIOS.Product = or(m.SMBIOS.Product, "Virtual Rack Server")
	m.Disks = append([]Disk(nil), m.Disks...)
	for i := range m.Disks {
		d := &m.Disks[i]
		d.Bus = or(d.Bus, qemu.BusVirtio)
		d.SizeBytes = or(d.SizeBytes, defaultDiskBytes)
		d.SectorBytes = or(d.SectorBytes, 512)
		d.Serial = or(d.Serial, derivedSerial(m.Name, i))
	}
	m.NICs = append([]NIC(nil), m.NICs...)
	for i := range m.NICs {
		m.NICs[i].Model = or(m.NICs[i].Model, qemu.NICVirtio)
		m.NICs[i].MAC = or(m.NICs[i].MAC, derivedMAC(rack, m.Name, i))
	}
	return m
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
