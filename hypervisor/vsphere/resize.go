package vsphere

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// GrowDisk implements hypervisor.Resizer. A disk that stands on another one can't be grown
// (kubernetes-sigs/cluster-api-provider-vsphere#1189): that of a linked clone, and any
// while there are snapshots.
func (d *Driver) GrowDisk(ctx context.Context, id string, n int, sizeBytes int64) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	disks := disksOf(m)
	if n < 0 || n >= len(disks) {
		return inventory.NotFound("disk", fmt.Sprint(n))
	}
	disk := disks[n]
	switch has := sizeOf(disk); {
	case sizeBytes < has:
		return inventory.Invalid("disk %d has %d bytes and can't shrink to %d", n, has, sizeBytes)
	case sizeBytes%diskStep != 0:
		return inventory.Invalid("disk of %d bytes (vSphere wants a multiple of 1 KiB)", sizeBytes)
	case sizeBytes == has:
		return nil
	case m.Snapshot != nil && len(m.Snapshot.RootSnapshotList) > 0:
		return fmt.Errorf("disk %d can't grow while the machine has snapshots: delete them first: %w", n, inventory.ErrUnsupported)
	case len(chainOf(disk)) > 1:
		return fmt.Errorf("disk %d is a linked clone's, and a disk with a parent can't grow: make the machine anew with the larger disk: %w", n, inventory.ErrUnsupported)
	}
	grown := *disk
	grown.CapacityInBytes, grown.CapacityInKB = sizeBytes, sizeBytes>>10
	return d.reconfigure(ctx, m.Self, types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{
		&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: &grown}}})
}

// SetSize implements hypervisor.Resizer.
func (d *Driver) SetSize(ctx context.Context, id string, cpus int, memoryBytes int64) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case cpus < 1 || memoryBytes <= 0 || memoryBytes%memoryStep != 0:
		return inventory.Invalid("%d CPUs and %d bytes of memory (want a multiple of 4 MiB)", cpus, memoryBytes)
	case int(m.Config.Hardware.NumCPU) == cpus && int64(m.Config.Hardware.MemoryMB)<<20 == memoryBytes:
		return nil
	case power(m.Runtime.PowerState) != hypervisor.Off:
		return fmt.Errorf("machine %s is not off: %w", id, inventory.ErrBusy)
	}
	return d.reconfigure(ctx, m.Self, types.VirtualMachineConfigSpec{NumCPUs: int32(cpus), MemoryMB: memoryBytes >> 20})
}
