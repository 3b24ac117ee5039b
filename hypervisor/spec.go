package hypervisor

import (
	"crypto/sha1"
	"fmt"
	"strings"

	"ingot/inventory"
)

// Spec is a machine to be made.
type Spec struct {
	// ID is the machine's in the inventory. Name is what people see at the host.
	ID, Name string
	CPUs     int
	// MemoryBytes is a multiple of 1 MiB.
	MemoryBytes int64
	// Image is the digest of the root disk's image; empty makes an empty disk.
	Image string
	// ImageBytes is the image's logical size, for a plan before the image is at the host; 0
	// when it isn't known.
	ImageBytes int64
	// Disks: the root disk first.
	Disks []DiskSpec
	NICs  []NICSpec
	// Firmware empty is the host's default for the image.
	Firmware   inventory.FirmwareMode
	SecureBoot bool
	TPM        bool
	// Seed is a FAT file system with the label CIDATA (inventory/seed); nil for none.
	Seed []byte
}

// DiskSpec is a disk to be made. SizeBytes 0 is the image's own size.
type DiskSpec struct{ SizeBytes int64 }

// NICSpec is a NIC to be made.
type NICSpec struct {
	// MAC is set before anything is made, so that leases and boots find the machine.
	MAC inventory.MAC
	// Network is the host's name for a network, bridge, port group or switch; empty is
	// its default. VLAN 0 is untagged.
	Network string
	VLAN    int
}

const (
	mebibyte       = 1 << 20
	nameMaxLetters = 200
	cpusMax        = 1024
	sectorBytes    = 512
)

// Check reports the first thing that no host could make, as ErrInvalid.
func (s Spec) Check() error {
	switch {
	case s.ID == "":
		return inventory.Invalid("machine without ID")
	case s.Name == "" || len([]rune(s.Name)) > nameMaxLetters || strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' || r == '/' || r == 0x7f }):
		return inventory.Invalid("machine name %q (want 1 to %d letters, no / and no control characters)", s.Name, nameMaxLetters)
	case s.CPUs < 1 || s.CPUs > cpusMax:
		return inventory.Invalid("machine %s: %d CPUs (want 1 to %d)", s.Name, s.CPUs, cpusMax)
	case s.MemoryBytes < 16*mebibyte || s.MemoryBytes%mebibyte != 0:
		return inventory.Invalid("machine %s: memory of %d bytes (want a multiple of 1 MiB, at least 16)", s.Name, s.MemoryBytes)
	case len(s.Disks) == 0:
		return inventory.Invalid("machine %s: no disk", s.Name)
	case s.SecureBoot && s.Firmware != inventory.FirmwareUEFI:
		return inventory.Invalid("machine %s: Secure Boot needs UEFI", s.Name)
	}
	for i, d := range s.Disks {
		if d.SizeBytes < 0 || d.SizeBytes%sectorBytes != 0 || d.SizeBytes == 0 && (i > 0 || s.Image == "") {
			return inventory.Invalid("machine %s: disk %d of %d bytes (want a multiple of 512)", s.Name, i, d.SizeBytes)
		}
	}
	return s.checkNICs()
}

func (s Spec) checkNICs() error {
	seen := map[inventory.MAC]bool{}
	for i, n := range s.NICs {
		if n.MAC == "" || seen[n.MAC] {
			return inventory.Invalid("machine %s: NIC %d has no MAC of its own (%q)", s.Name, i, n.MAC)
		}
		if n.VLAN < 0 || n.VLAN > 4094 {
			return inventory.Invalid("machine %s: VLAN %d (want 1 to 4094, or 0 for none)", s.Name, n.VLAN)
		}
		seen[n.MAC] = true
	}
	return nil
}

// UUID is the UUID that a machine of this ID gets from an owner, where the host lets us
// choose: a name-based one (RFC 9562 section 5.5), so that a repeated create finds the
// first.
func UUID(owner, id string) string {
	sum := sha1.Sum([]byte("ingot\x00" + owner + "\x00" + id))
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
