package inventory

import (
	"net/netip"
	"time"
)

// FirmwareMode is how the machine boots.
type FirmwareMode string

// The firmware modes.
const (
	FirmwareBIOS FirmwareMode = "bios"
	FirmwareUEFI FirmwareMode = "uefi"
)

// SecureBootState as the firmware's own variables tell it.
type SecureBootState string

// The Secure Boot states. Unknown is the zero value: never asked.
const (
	SecureBootUnknown     SecureBootState = ""
	SecureBootOn          SecureBootState = "on"
	SecureBootOff         SecureBootState = "off"
	SecureBootSetup       SecureBootState = "setup-mode"
	SecureBootUnsupported SecureBootState = "unsupported"
)

// Facts is what a machine has, as read from the inside. Versions are kept: a changed
// DIMM, disk or cable is a difference between two of them.
type Facts struct {
	Version  int         `json:"version"`
	At       time.Time   `json:"at"`
	System   System      `json:"system"`
	Board    Board       `json:"board"`
	Chassis  Chassis     `json:"chassis"`
	Firmware Firmware    `json:"firmware"`
	TPM      TPM         `json:"tpm"`
	CPUs     []CPU       `json:"cpus,omitempty"`
	Memory   Memory      `json:"memory"`
	Disks    []Disk      `json:"disks,omitempty"`
	NICs     []NIC       `json:"nics,omitempty"`
	PCI      []PCIDevice `json:"pci,omitempty"`
	GPUs     []GPU       `json:"gpus,omitempty"`
	BMC      *BMCFacts   `json:"bmc,omitempty"`
	Agent    AgentFacts  `json:"agent"`
	// Unread names what couldn't be read, and why.
	Unread []string `json:"unread,omitempty"`
}

// System is SMBIOS type 1. UUID is as the operating system shows it (RFC 4122 text).
type System struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	UUID         string `json:"uuid,omitempty"`
	SKU          string `json:"sku,omitempty"`
	Family       string `json:"family,omitempty"`
}

// Board is SMBIOS type 2.
type Board struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	AssetTag     string `json:"assetTag,omitempty"`
}

// Chassis is SMBIOS type 3. Type is in words ("rack mount", "blade").
type Chassis struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Type         string `json:"type,omitempty"`
	Serial       string `json:"serial,omitempty"`
	AssetTag     string `json:"assetTag,omitempty"`
	HeightU      int    `json:"heightU,omitempty"`
}

// Firmware is SMBIOS type 0 and what the EFI variables say.
type Firmware struct {
	Vendor     string          `json:"vendor,omitempty"`
	Version    string          `json:"version,omitempty"`
	Date       string          `json:"date,omitempty"`
	Mode       FirmwareMode    `json:"mode,omitempty"`
	SecureBoot SecureBootState `json:"secureBoot,omitempty"`
	// BootOrder are the labels of the EFI boot entries in order.
	BootOrder []string `json:"bootOrder,omitempty"`
}

// TPM is the trusted platform module.
type TPM struct {
	Present      bool   `json:"present"`
	Version      string `json:"version,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
}

// CPU is one socket.
type CPU struct {
	Socket       string   `json:"socket,omitempty"`
	Vendor       string   `json:"vendor,omitempty"`
	Model        string   `json:"model,omitempty"`
	Architecture string   `json:"architecture,omitempty"`
	Cores        int      `json:"cores"`
	Threads      int      `json:"threads"`
	MaxMHz       int      `json:"maxMHz,omitempty"`
	Features     []string `json:"features,omitempty"`
}

// Memory is what the kernel can use and the modules that SMBIOS type 17 names.
type Memory struct {
	TotalBytes int64  `json:"totalBytes"`
	DIMMs      []DIMM `json:"dimms,omitempty"`
}

// DIMM is one memory module; empty slots are listed with SizeBytes 0.
type DIMM struct {
	Slot         string `json:"slot,omitempty"`
	Bank         string `json:"bank,omitempty"`
	SizeBytes    int64  `json:"sizeBytes"`
	Type         string `json:"type,omitempty"`
	SpeedMTs     int    `json:"speedMTs,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Part         string `json:"part,omitempty"`
	ECC          bool   `json:"ecc,omitempty"`
}

// Disk is one block device that can hold a system.
type Disk struct {
	// Name is the kernel's ("sda", "nvme0n1"); it may change from boot to boot.
	Name      string `json:"name"`
	Path      string `json:"path,omitempty"`
	Model     string `json:"model,omitempty"`
	Vendor    string `json:"vendor,omitempty"`
	Serial    string `json:"serial,omitempty"`
	WWN       string `json:"wwn,omitempty"`
	Firmware  string `json:"firmware,omitempty"`
	SizeBytes int64  `json:"sizeBytes"`
	// LogicalSectorBytes is what a partition table counts in: 512 or 4096.
	LogicalSectorBytes  int    `json:"logicalSectorBytes"`
	PhysicalSectorBytes int    `json:"physicalSectorBytes"`
	Rotational          bool   `json:"rotational"`
	Removable           bool   `json:"removable,omitempty"`
	ReadOnly            bool   `json:"readOnly,omitempty"`
	Transport           string `json:"transport,omitempty"`
	// Signatures are foreign data found by reading, never by mounting.
	Signatures []string    `json:"signatures,omitempty"`
	Health     *DiskHealth `json:"health,omitempty"`
}

// DiskHealth from SMART (ATA) or the NVMe health log.
type DiskHealth struct {
	Passed             bool     `json:"passed"`
	TemperatureC       int      `json:"temperatureC,omitempty"`
	PowerOnHours       int64    `json:"powerOnHours,omitempty"`
	PercentUsed        int      `json:"percentUsed,omitempty"`
	MediaErrors        int64    `json:"mediaErrors,omitempty"`
	ReallocatedSectors int64    `json:"reallocatedSectors,omitempty"`
	Warnings           []string `json:"warnings,omitempty"`
}

// NIC is one network interface.
type NIC struct {
	Name       string `json:"name"`
	MAC        MAC    `json:"mac"`
	Driver     string `json:"driver,omitempty"`
	Firmware   string `json:"firmware,omitempty"`
	PCIAddress string `json:"pciAddress,omitempty"`
	// SpeedMbps is the negotiated speed, 0 without a link.
	SpeedMbps int  `json:"speedMbps,omitempty"`
	Link      bool `json:"link"`
	// Boot is set for the interface that the machine booted from.
	Boot      bool           `json:"boot,omitempty"`
	Addresses []netip.Prefix `json:"addresses,omitempty"`
	Neighbour *Neighbour     `json:"neighbour,omitempty"`
}

// Neighbour is who LLDP (IEEE 802.1AB) says is on the other end of the cable.
type Neighbour struct {
	ChassisID       string `json:"chassisId,omitempty"`
	PortID          string `json:"portId,omitempty"`
	PortDescription string `json:"portDescription,omitempty"`
	SystemName      string `json:"systemName,omitempty"`
	Management      string `json:"management,omitempty"`
	VLAN            int    `json:"vlan,omitempty"`
}

// PCIDevice is one function on the bus; ids are four hex digits.
type PCIDevice struct {
	Address string `json:"address"`
	Class   string `json:"class"`
	Vendor  string `json:"vendor"`
	Device  string `json:"device"`
	Driver  string `json:"driver,omitempty"`
}

// GPU is a display or 3D controller (PCI class 03).
type GPU struct {
	Address string `json:"address"`
	Vendor  string `json:"vendor"`
	Device  string `json:"device"`
	Name    string `json:"name,omitempty"`
}

// BMCFacts is what the machine's own baseboard controller says of itself in-band.
type BMCFacts struct {
	Address  netip.Addr `json:"address,omitzero"`
	MAC      MAC        `json:"mac,omitempty"`
	Firmware string     `json:"firmware,omitempty"`
	Source   string     `json:"source,omitempty"`
}

// AgentFacts is the environment that read the facts.
type AgentFacts struct {
	Version string `json:"version,omitempty"`
	Kernel  string `json:"kernel,omitempty"`
	// BootMAC is the NIC named by the boot loader (BOOTIF), if any.
	BootMAC MAC `json:"bootMac,omitempty"`
	// ToFacts is from the kernel's start to the facts sent.
	ToFacts time.Duration `json:"toFacts,omitempty"`
}

// Identity extracts what the facts identify the machine by.
func (f *Facts) Identity() Identity {
	id := Identity{UUID: f.System.UUID, Serial: f.System.Serial}
	for _, nic := range f.NICs {
		id.MACs = append(id.MACs, nic.MAC)
	}
	return id.Trusted()
}
