package lifecycle

import (
	"slices"
	"strings"

	"ingot/inventory"
)

// checkFit holds the order against the newest facts.
func (c *change) checkFit(o DeployOrder, image inventory.Image) error {
	if c.m.Kind != inventory.KindMetal {
		return fitsVM(c.m.Spec.VM, image)
	}
	facts, err := c.x.Facts(c.ctx, c.m.ID, 0)
	if err != nil {
		return err
	}
	for _, a := range o.Addresses {
		if !slices.ContainsFunc(facts.NICs, func(n inventory.NIC) bool { return n.MAC == a.MAC }) {
			return inventory.Invalid("static address %s is for MAC %s, which machine %s doesn't have", a.Prefix, a.MAC, c.m.Name)
		}
	}
	disk, err := o.Disk.Choose(facts.Disks)
	if err != nil {
		return err
	}
	if disk.LogicalSectorBytes != image.LogicalSectorBytes && disk.LogicalSectorBytes != 0 {
		return inventory.Invalid("disk %s has %d-byte sectors and image %s is made for %d: nothing was written; use an image built for %d-byte sectors (sectorBytes in its recipe) or another disk",
			disk.Name, disk.LogicalSectorBytes, image.Name, image.LogicalSectorBytes, disk.LogicalSectorBytes)
	}
	if need := image.SizeBytes + SeedRoomBytes; disk.SizeBytes < need {
		return inventory.Invalid("image %s needs %s and disk %s has %s", image.Name, inventory.FormatBytes(need), disk.Name, inventory.FormatBytes(disk.SizeBytes))
	}
	return bootable(facts, image)
}

// fitsVM holds what is wanted of a VM against the image.
func fitsVM(vm *inventory.VMSpec, image inventory.Image) error {
	if image.LogicalSectorBytes > inventory.VMSectorBytes {
		return inventory.Invalid("image %s is made for disks with %d-byte sectors and those of VMs have %d: use an image built for them", image.Name, image.LogicalSectorBytes, inventory.VMSectorBytes)
	}
	if root := vm.DiskBytes[0]; root != 0 && root < image.SizeBytes {
		return inventory.Invalid("image %s needs a root disk of %s and %s were asked for", image.Name, inventory.FormatBytes(image.SizeBytes), inventory.FormatBytes(root))
	}
	mode := string(vm.Firmware)
	if vm.SecureBoot {
		mode = "secureboot"
	}
	if image.BootsBy(mode) {
		return nil
	}
	return inventory.Invalid("image %s boots by %s, not by %s", image.Name, strings.Join(image.BootModes, ", "), mode)
}

// SeedRoomBytes is what a deploy needs at the disk's end beyond the image: the seed and
// the backup partition table.
const SeedRoomBytes = 8 << 20

func bootable(facts *inventory.Facts, image inventory.Image) error {
	mode := string(facts.Firmware.Mode)
	if facts.Firmware.SecureBoot == inventory.SecureBootOn {
		mode = "secureboot"
	}
	if image.BootsBy(mode) {
		return nil
	}
	return inventory.Invalid("image %s boots by %s and this machine boots by %s", image.Name, strings.Join(image.BootModes, ", "), mode)
}
