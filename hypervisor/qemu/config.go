package qemu

import (
	"net"
	"net/netip"
)

// Config describes one machine. The zero value of a field that is not marked
// as required means QEMU's own default or what the field says.
type Config struct {
	// Name is shown in QEMU's process title and in errors. Required.
	Name string
	// Dir is the directory of this machine, made when absent. Required.
	Dir string
	// Namespace is the network namespace (as in `ip netns`) to run in. Empty: this one.
	Namespace string
	// Detach lets the machine outlive this program and the context given to
	// Start. Without it the machine is killed when either ends.
	Detach bool
	// Paused holds the processors until [Process.Resume]. Who has connected to the console
	// by then hears all that the machine says.
	Paused bool

	// UUID is the SMBIOS system UUID, 8-4-4-4-12 hexadecimal digits. Empty: all zeros.
	UUID string
	// SMBIOS is what dmidecode shows beside the UUID.
	SMBIOS SMBIOS

	// Firmware is required.
	Firmware Firmware
	// HTTPFirst puts UEFI HTTP boot before UEFI PXE in the boot order. It is for
	// FirmwareUEFI and FirmwareSecureBoot with virtio network cards.
	HTTPFirst bool
	// Boot is what is tried first. Empty: BootNetwork.
	Boot BootOrder
	// FixedBoot imposes Boot at every reset. Without it a UEFI machine starts with
	// Boot as its first order and from then on keeps what the guest wrote into its
	// variables, as a real board does. A BIOS machine has a fixed order always.
	FixedBoot bool

	// MemoryMiB is required.
	MemoryMiB int
	// CPUs is the number of cores. 0: 1.
	CPUs int
	// CPUModel is QEMU's -cpu value. Empty: the host's with KVM, else all that
	// the emulator knows.
	CPUModel string
	// Accelerator is required; ProbeKVM says whether KVM is usable.
	Accelerator Accelerator

	Disks []Disk
	NICs  []NIC
	// CDROM is the path of an ISO image in a drive, read-only. Empty: no drive.
	CDROM string
	// USBDisk is the path of a raw image on a USB stick. Empty: no stick.
	USBDisk string
	// TPM adds a TPM 2.0, emulated by swtpm, with its state in Dir.
	TPM bool

	// Channel is the name of a virtio-serial port, which the guest finds below
	// /dev/virtio-ports; [Process.Channel] is its other end. Empty: no port.
	Channel string

	// Kernel, Initrd and Append boot a kernel directly, with no boot loader.
	// Initrd and Append need Kernel.
	Kernel, Initrd, Append string

	// ExtraArgs are added to QEMU's arguments, last.
	ExtraArgs []string
}

// SMBIOS are the strings of the system, base board and chassis tables.
type SMBIOS struct {
	Manufacturer string
	Product      string
	Serial       string
}

// Firmware is how the machine starts.
type Firmware string

// The firmwares. The UEFI ones are Debian's OVMF builds with 4 MiB of flash.
const (
	// FirmwareBIOS is SeaBIOS; the PXE client is the network card's iPXE ROM.
	FirmwareBIOS Firmware = "bios"
	// FirmwareUEFI boots with the firmware's own PXE client, no iPXE ROM.
	FirmwareUEFI Firmware = "uefi"
	// FirmwareUEFIHTTP is UEFI with PXE switched off, so HTTPv4 comes first.
	FirmwareUEFIHTTP Firmware = "uefi-http"
	// FirmwareSecureBoot is UEFI with Secure Boot on and Microsoft's keys enrolled.
	FirmwareSecureBoot Firmware = "secureboot"
)

// UEFI reports whether the firmware is one of the UEFI builds.
func (f Firmware) UEFI() bool { return f != FirmwareBIOS }

// Accelerator is how the guest's instructions are run.
type Accelerator string

// The accelerators.
const (
	AcceleratorTCG Accelerator = "tcg"
	AcceleratorKVM Accelerator = "kvm"
)

// BootOrder is what the firmware tries first; the rest follows.
type BootOrder string

// The boot orders.
const (
	BootNetwork BootOrder = "network"
	BootDisk    BootOrder = "disk"
	BootMedia   BootOrder = "media"
)

// Bus is how a disk is attached.
type Bus string

// The buses. The last three are the emulated RAID and SAS controllers.
const (
	BusVirtio   Bus = "virtio"
	BusSCSI     Bus = "scsi"
	BusSATA     Bus = "sata"
	BusNVMe     Bus = "nvme"
	BusMegaSAS  Bus = "megasas-gen2"
	BusPVSCSI   Bus = "pvscsi"
	BusMPTSAS   Bus = "mptsas1068"
	defaultSect     = 512
)

// Disk is one disk of the machine.
type Disk struct {
	// Path is the image file or block device. Required.
	Path string
	// Format is QEMU's name of the image format ("raw", "qcow2"). It is never
	// guessed from the content, which the guest controls. Required.
	Format string
	// Bus is required.
	Bus Bus
	// Serial is the serial number the guest reads. NVMe requires one.
	Serial string
	// WWN is the world wide name; the EUI-64 of an NVMe namespace. 0: none.
	// The virtio bus has none.
	WWN uint64
	// SectorBytes is the logical sector size: 512 or 4096. 0: 512.
	SectorBytes int
	// IgnoreFlush keeps guest flushes in the host's page cache: what was written
	// survives the end of QEMU, not a power cut of the host.
	IgnoreFlush bool
	// ReadOnly refuses writes by the guest.
	ReadOnly bool
}

// NICModel is the emulated network card.
type NICModel string

// The network cards.
const (
	NICVirtio  NICModel = "virtio"
	NICE1000E  NICModel = "e1000e"
	NICVMXNET3 NICModel = "vmxnet3"
)

// NIC is one network card of the machine.
type NIC struct {
	// Tap is the name of an existing tap device in the machine's namespace.
	// Empty: QEMU's user-mode network.
	Tap string
	// Restrict keeps the guest from reaching anything through the user-mode network
	// but its DHCP and DNS answers. It is for cards without a tap.
	Restrict bool
	// Forwards are addresses of the user-mode network that a unix socket answers, also
	// when it is restricted. They are for cards without a tap.
	Forwards []Forward
	// MAC is required: QEMU's default is the same for every machine.
	MAC net.HardwareAddr
	// Model is required.
	Model NICModel
	// BootIndex places the card among the network cards, lowest first; 0 means
	// its place in Config.NICs, counted from 1, and -1 that it is not booted from.
	BootIndex int
}

// Forward is a TCP address that a guest of the user-mode network can connect to. All its
// connections are one stream to the socket, which QEMU connects to, and again a second
// after it was closed: what the socket sends goes to the guest's newest connection.
type Forward struct {
	// Address is in the network, 10.0.2.0/24, and not 10.0.2.2 or 10.0.2.3.
	Address netip.AddrPort
	// Socket is the path of a listening unix socket, seen from the machine's directory.
	Socket string
}
