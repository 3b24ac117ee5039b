package guestrun

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
)

// Network is what a guest reaches.
type Network string

// The networks. All have DHCP but NetworkNone.
const (
	// NetworkNone is no network card.
	NetworkNone Network = "none"
	// NetworkClosed has an address and reaches nothing.
	NetworkClosed Network = "closed"
	// NetworkOpen reaches this host at 10.0.2.2, its loopback included, and what the
	// host reaches.
	NetworkOpen Network = "open"
)

// guestMAC is the network card's: each guest is alone on its network.
var guestMAC = net.HardwareAddr{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}

// GuestMAC is the hardware address of the network card.
func GuestMAC() inventory.MAC { return inventory.MAC(guestMAC.String()) }

// Limits that apply where a Machine names none.
const (
	DefaultLimit = 30 * time.Minute
	DefaultStall = 5 * time.Minute
)

// Machine says what to run.
type Machine struct {
	// Name is for errors and the process list. Required.
	Name string
	// Dir is where a folder for the machine is made, and removed by Close. Required.
	Dir string
	// Base is a disk image, raw or qcow2 as Format says, that is only read. SizeBytes is
	// the machine's disk, which may be larger; 0 is the image's size. Without Base the
	// disk is empty and SizeBytes required.
	Base, Format string
	SizeBytes    int64
	// SectorBytes is the disk's logical sector size; 0 is 512.
	SectorBytes int
	// Prepare changes the overlay before the machine starts, and may change the machine
	// too, to give it a Seed for example. It may be nil, and needs a Base.
	Prepare func(*Overlay, *Machine) error
	// Seed is a file system that the guest gets as a second disk; nil for none.
	Seed []byte
	// Disks are more disks, which the guest may only read: paths of raw images.
	Disks []string

	// Firmware is how it boots; empty is BIOS.
	Firmware qemu.Firmware
	// Kernel, Initrd and Append boot a kernel directly; CDROM is an ISO in a drive.
	Kernel, Initrd, Append, CDROM string
	// MemoryMiB is 1024 when 0, CPUs 2.
	MemoryMiB, CPUs int
	// Network is NetworkNone when empty.
	Network Network
	// Server answers the guest's HTTP requests to [ServerURL], one after the other, also on
	// a closed network; nil for none. It must have a network.
	Server http.Handler
	// EndAtReset makes a reset of the machine its end, as switching off is.
	EndAtReset bool
	// TPM adds a TPM 2.0.
	TPM bool
	// Accelerator is KVM where it works when empty, else emulation.
	Accelerator qemu.Accelerator

	// Stall is how long neither console nor channel may be silent, Limit how long it
	// may take in all. 0: the defaults.
	Stall, Limit time.Duration
	// MaxConsoleBytes is how much the console may say; 0 is 16 MiB.
	MaxConsoleBytes int64
	// Log is told of the machine's life; nil discards.
	Log *slog.Logger
}

func (m *Machine) setDefaults() error {
	if m.Name == "" || m.Dir == "" {
		return errors.New("name and directory are required")
	}
	if m.Base == "" && m.SizeBytes <= 0 {
		return inventory.Invalid("machine %s: without an image its disk needs a size", m.Name)
	}
	if m.Server != nil && (m.Network == NetworkNone || m.Network == "") {
		return inventory.Invalid("machine %s: a server needs a network", m.Name)
	}
	set(&m.Firmware, qemu.FirmwareBIOS)
	set(&m.MemoryMiB, 1024)
	set(&m.CPUs, 2)
	set(&m.Network, NetworkNone)
	set(&m.Stall, DefaultStall)
	set(&m.Limit, DefaultLimit)
	set(&m.MaxConsoleBytes, 16<<20)
	if m.Log == nil {
		m.Log = slog.New(slog.DiscardHandler)
	}
	m.Log = m.Log.With("guest", m.Name)
	return nil
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// config is the QEMU process of the machine, whose disk is at disk.
func (m *Machine) config(s *scratch, disk qemu.Disk) qemu.Config {
	c := qemu.Config{Name: m.Name, Dir: s.path(machineName), Firmware: m.Firmware, Boot: qemu.BootDisk, MemoryMiB: m.MemoryMiB, CPUs: m.CPUs,
		Accelerator: m.Accelerator, TPM: m.TPM, Channel: portName, CDROM: m.CDROM, Kernel: m.Kernel, Initrd: m.Initrd, Append: m.Append, Paused: true}
	disk.Bus, disk.SectorBytes, disk.IgnoreFlush = qemu.BusVirtio, m.SectorBytes, true
	c.Disks = []qemu.Disk{disk}
	if m.EndAtReset {
		c.ExtraArgs = []string{"-no-reboot"}
	}
	if m.Seed != nil {
		c.Disks = append(c.Disks, qemu.Disk{Path: s.path(seedName), Format: "raw", Bus: qemu.BusVirtio, ReadOnly: true})
	}
	for _, path := range m.Disks {
		c.Disks = append(c.Disks, qemu.Disk{Path: path, Format: "raw", Bus: qemu.BusVirtio, ReadOnly: true})
	}
	if m.Network != NetworkNone {
		c.NICs = []qemu.NIC{{MAC: guestMAC, Model: qemu.NICVirtio, BootIndex: -1, Restrict: m.Network == NetworkClosed}}
		if m.Server != nil {
			c.NICs[0].Forwards = []qemu.Forward{{Address: netip.MustParseAddrPort(serverAddress), Socket: serverSocket}}
		}
	}
	return c
}

const (
	seedName    = "seed.img"
	machineName = "machine"
)
