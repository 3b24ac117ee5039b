package vsphere

import (
	"context"
	"errors"
	"fmt"

	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

const (
	// memoryStep is what vSphere wants memory to be a multiple of (VirtualMachineConfigSpec.memoryMB).
	memoryStep = 4 << 20
	// diskStep is the unit of a disk's size (VirtualDisk.capacityInKB).
	diskStep = 1 << 10
	// uefiMemory is the least that a machine with UEFI powers on with (vSphere Virtual
	// Machine Administration, "Change the Memory Configuration").
	uefiMemory = 96 << 20
	// nicsMax is vSphere's (same, "Hardware Features Available with Virtual Machine
	// Compatibility Settings").
	nicsMax = 10
	// disksMax on one controller: 16 units without the controller's own (7) and the seed's.
	disksMax        = 14
	controllerUnit  = 7
	newController   = -100
	newTPM          = -300
	adapterType     = "lsiLogic"
	linkedMove      = types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking
	fullMove        = types.VirtualMachineRelocateDiskMoveOptionsMoveAllDiskBackingsAndDisallowSharing
	whyNoImage      = "an empty disk stands on no image"
	whyNoClone      = "ESXi alone has no CloneVM: the image's disk is copied"
	biosFirmware    = string(types.GuestOsDescriptorFirmwareTypeBios)
	efiFirmware     = string(types.GuestOsDescriptorFirmwareTypeEfi)
	defaultGuestID  = string(types.VirtualMachineGuestOsIdentifierOtherLinux64Guest)
	hardwareVersion = "vmx-14"
)

// job is a machine to be made, with all that had to be looked up.
type job struct {
	spec  hypervisor.Spec
	name  string
	image *image
	clone hypervisor.CloneKind
	why   string
	cards []types.BaseVirtualDeviceConfigSpec
}

// prepare checks a spec against the host and looks up what it names. It changes nothing.
// For a plan, the image may still have to come.
func (d *Driver) prepare(ctx context.Context, spec hypervisor.Spec, plan bool) (job, error) {
	j := job{spec: spec, name: inventoryName(d.config.Owner, spec.ID, spec.Name)}
	if err := d.check(spec); err != nil {
		return j, err
	}
	if spec.Image != "" {
		img, err := d.imageOf(ctx, spec.Image)
		if errors.Is(err, inventory.ErrNotFound) && plan && spec.ImageBytes > 0 {
			img, err = imageToCome(spec), nil
		}
		if err != nil {
			return j, err
		}
		j.image = &img
	}
	if j.firmware() == efiFirmware && spec.MemoryBytes < uefiMemory {
		return j, inventory.Invalid("machine %s: memory of %d bytes (with UEFI, vSphere wants at least 96 MiB)", spec.Name, spec.MemoryBytes)
	}
	if err := j.choose(d.client.IsVC()); err != nil {
		return j, err
	}
	var err error
	j.cards, err = d.cards(ctx, spec.NICs)
	return j, err
}

// check reports what vSphere would not take.
func (d *Driver) check(spec hypervisor.Spec) error {
	if err := spec.Check(); err != nil {
		return err
	}
	switch {
	case spec.MemoryBytes%memoryStep != 0:
		return inventory.Invalid("machine %s: memory of %d bytes (vSphere wants a multiple of 4 MiB)", spec.Name, spec.MemoryBytes)
	case len(spec.Disks) > disksMax:
		return inventory.Invalid("machine %s: %d disks (want at most %d)", spec.Name, len(spec.Disks), disksMax)
	case len(spec.NICs) > nicsMax:
		return inventory.Invalid("machine %s: %d NICs (want at most %d)", spec.Name, len(spec.NICs), nicsMax)
	case spec.TPM && !d.can.TPM:
		return fmt.Errorf("machine %s: a TPM needs a key provider in vCenter: %w", spec.Name, inventory.ErrUnsupported)
	case spec.TPM && spec.Firmware == inventory.FirmwareBIOS:
		return inventory.Invalid("machine %s: a TPM needs UEFI", spec.Name)
	}
	var errs []error
	for i, disk := range spec.Disks[1:] {
		if disk.SizeBytes%diskStep != 0 {
			errs = append(errs, inventory.Invalid("machine %s: disk %d of %d bytes (vSphere wants a multiple of 1 KiB)", spec.Name, i+1, disk.SizeBytes))
		}
	}
	for _, nic := range spec.NICs {
		errs = append(errs, checkMAC(nic.MAC.Bytes()))
	}
	return errors.Join(errs...)
}

// choose says how the root disk is made, and why. Silent full copies are what users of
// linked clones complained of (kubernetes-sigs/cluster-api-provider-vsphere#1611).
func (j *job) choose(vcenter bool) error {
	j.clone = hypervisor.FullCopy
	if j.image == nil {
		j.why = whyNoImage
		return nil
	}
	has, want := sizeOf(j.image.disk), j.rootSize()
	switch {
	case want < has:
		return inventory.Invalid("machine %s: root disk of %d bytes is smaller than the image (%d)", j.spec.Name, want, has)
	case want%diskStep != 0:
		return inventory.Invalid("machine %s: root disk of %d bytes (vSphere wants a multiple of 1 KiB)", j.spec.Name, want)
	case !vcenter:
		j.why = whyNoClone
	case want > has:
		j.why = fmt.Sprintf("the root disk is to have %d bytes and the image has %d: a disk with a parent can't be grown", want, has)
	default:
		j.clone = hypervisor.LinkedClone
	}
	return nil
}

// rootSize is the root disk's: the one asked for, or else the image's.
func (j *job) rootSize() int64 {
	if size := j.spec.Disks[0].SizeBytes; size != 0 || j.image == nil {
		return size
	}
	return sizeOf(j.image.disk)
}

// firmware is the one asked for, or else the image's.
func (j *job) firmware() string {
	if asked := firmwareOf(j.spec.Firmware); asked != "" || j.image == nil {
		return asked
	}
	return j.image.vm.Config.Firmware
}

func firmwareOf(mode inventory.FirmwareMode) string {
	switch mode {
	case inventory.FirmwareUEFI:
		return efiFirmware
	case inventory.FirmwareBIOS:
		return biosFirmware
	}
	return ""
}
