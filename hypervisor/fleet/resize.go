package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Size is what a machine is to be changed to; zero values stay.
type Size struct {
	CPUs        int
	MemoryBytes int64
	// DiskBytes by number; disks only grow.
	DiskBytes map[int]int64
}

// of is the spec with the new size.
func (to Size) of(spec inventory.VMSpec) (inventory.VMSpec, error) {
	spec.DiskBytes = slices.Clone(spec.DiskBytes)
	if to.CPUs != 0 {
		spec.CPUs = to.CPUs
	}
	if to.MemoryBytes != 0 {
		spec.MemoryBytes = to.MemoryBytes
	}
	for n, size := range to.DiskBytes {
		if n < 0 || n >= len(spec.DiskBytes) {
			return spec, inventory.NotFound("disk", fmt.Sprint(n))
		}
		spec.DiskBytes[n] = size
	}
	return spec, spec.Check()
}

// Resize changes a machine at its host, and what the inventory wants of it: also where only
// a part was done.
func (f *Fleet) Resize(ctx context.Context, m *inventory.Machine, to Size) error {
	c, err := f.made(ctx, m)
	if err != nil {
		return err
	}
	r, ok := c.driver.(hypervisor.Resizer)
	if !ok {
		return fmt.Errorf("host %s changes no sizes: %w", c.host.Name, inventory.ErrUnsupported)
	}
	want, err := to.of(*m.Spec.VM)
	if err != nil {
		return err
	}
	done := *m.Spec.VM
	done.DiskBytes = slices.Clone(done.DiskBytes)
	err = to.apply(ctx, r, m, &done, want)
	return errors.Join(err, f.cfg.Store.Update(ctx, func(x inventory.Tx) error {
		now, err := x.Machine(ctx, m.ID)
		if err != nil {
			return err
		}
		now.Spec.VM.CPUs, now.Spec.VM.MemoryBytes, now.Spec.VM.DiskBytes = done.CPUs, done.MemoryBytes, done.DiskBytes
		return x.PutMachine(ctx, now)
	}))
}

// apply brings what is done to what is wanted, until something fails.
func (to Size) apply(ctx context.Context, r hypervisor.Resizer, m *inventory.Machine, done *inventory.VMSpec, want inventory.VMSpec) error {
	if want.CPUs != done.CPUs || want.MemoryBytes != done.MemoryBytes {
		err := r.SetSize(ctx, m.ID, want.CPUs, want.MemoryBytes)
		if errors.Is(err, inventory.ErrBusy) {
			err = fmt.Errorf("CPUs and memory change while it is off (ingot vm stop %s): %w", m.Name, err)
		}
		if err != nil {
			return err
		}
		done.CPUs, done.MemoryBytes = want.CPUs, want.MemoryBytes
	}
	for _, n := range slices.Sorted(maps.Keys(to.DiskBytes)) {
		if err := r.GrowDisk(ctx, m.ID, n, to.DiskBytes[n]); err != nil {
			return err
		}
		done.DiskBytes[n] = to.DiskBytes[n]
	}
	return nil
}
