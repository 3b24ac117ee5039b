package hypervisor

import (
	"net/netip"
	"time"

	"ingot/inventory"
)

// PowerState is whether a machine runs.
type PowerState string

// The power states. Paused and Crashed are seen, never asked for.
const (
	On      PowerState = "on"
	Off     PowerState = "off"
	Paused  PowerState = "paused"
	Crashed PowerState = "crashed"
)

// PowerHow is how a machine is brought to a power state.
type PowerHow int

// Graceful asks the guest; Force pulls the plug.
const (
	Graceful PowerHow = iota
	Force
)

// VM is a machine as its host has it.
type VM struct {
	// ID is the inventory's, empty for a foreign machine; UUID is the host's own.
	ID, UUID, Name string
	Power          PowerState
	CPUs           int
	MemoryBytes    int64
	Firmware       inventory.FirmwareMode
	SecureBoot     bool
	TPM            bool
	Disks          []VMDisk
	NICs           []VMNIC
	// Clone is how its root disk was made; empty when that can't be seen.
	Clone CloneKind
	// ImageDigest is of the image it was made from.
	ImageDigest string
}

// VMDisk is a disk of a machine, the root disk first.
type VMDisk struct {
	// Path is where the host has it, in its own words.
	Path      string
	SizeBytes int64
}

// VMNIC is a NIC with the addresses that are known of it.
type VMNIC struct {
	MAC       inventory.MAC
	Network   string
	VLAN      int
	Addresses []Address
}

// Address is an address of a guest, and who said so.
type Address struct {
	IP     netip.Addr
	Source AddressSource
}

// AddressSource is who told an address.
type AddressSource string

// The sources, the best first.
const (
	FromAgent AddressSource = "guest agent"
	FromTools AddressSource = "guest tools"
	FromLease AddressSource = "hypervisor lease"
	FromDHCP  AddressSource = "ingot lease"
	FromARP   AddressSource = "arp"
)

// CloneKind is how a root disk stands to its image.
type CloneKind string

// A linked clone holds only what differs from the image; a full copy stands alone.
const (
	LinkedClone CloneKind = "linked clone"
	FullCopy    CloneKind = "full copy"
)

// Snapshot is a kept state.
type Snapshot struct {
	Name    string
	Created time.Time
	Current bool
}
