package hyperv

import (
	"context"
	"fmt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// GrowDisk implements hypervisor.Resizer. A differencing disk may be larger than what it
// stands on, but what stands on a checkpoint can't grow, and neither can a disk on an IDE
// controller while the machine runs (Resize-VHD's documentation).
func (d *Driver) GrowDisk(ctx context.Context, id string, n int, sizeBytes int64) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	disks := m.dataDisks()
	if n < 0 || n >= len(disks) {
		return inventory.NotFound("disk", fmt.Sprint(n))
	}
	one := disks[n]
	switch {
	case one.Fault != "":
		return fmt.Errorf("disk %d (%s) can't be read (%s): %w", n, one.Path, one.Fault, inventory.ErrConflict)
	case sizeBytes < one.SizeBytes:
		return inventory.Invalid("disk %d has %d bytes and can't shrink to %d", n, one.SizeBytes, sizeBytes)
	case sizeBytes == one.SizeBytes:
		return nil
	case checkSize(sizeBytes) != nil:
		return checkSize(sizeBytes)
	case m.Checkpoints > 0 || merging(m.Status):
		return fmt.Errorf("disk %d can't grow while the machine has snapshots: delete them first: %w", n, inventory.ErrBusy)
	case one.Controller == ide && powerOf(m.State) != hypervisor.Off:
		return fmt.Errorf("disk %d is on an IDE controller and can't grow while the machine is %s: shut it down first: %w", n, powerOf(m.State), inventory.ErrBusy)
	}
	_, err = change(ctx, d, growVHD, fmt.Sprintf("grow disk %d of machine %s", n, id), growDiskRequest{d.paths.lock(id), m.VMID, one.Path, sizeBytes})
	return err
}

// SetSize implements hypervisor.Resizer.
func (d *Driver) SetSize(ctx context.Context, id string, cpus int, memoryBytes int64) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case cpus < 1 || memoryBytes < memoryMin || memoryBytes%memoryStep != 0 || m.Generation == 1 && cpus > biosCPUs:
		return inventory.Invalid("%d CPUs and %d bytes of memory (Hyper-V wants a multiple of 2 MiB, at least 32)", cpus, memoryBytes)
	case m.Cpus == cpus && m.MemoryBytes == memoryBytes:
		return nil
	case powerOf(m.State) != hypervisor.Off:
		return fmt.Errorf("machine %s is not off (%s): %w", id, m.State, inventory.ErrBusy)
	}
	_, err = change(ctx, d, sizeMachine, "set size of machine "+id, setSizeRequest{d.paths.lock(id), m.VMID, cpus, memoryBytes})
	return err
}
