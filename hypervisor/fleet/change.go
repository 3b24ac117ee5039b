package fleet

import (
	"context"
	"errors"
	"fmt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// made is the connection to the host of a machine that was made.
func (f *Fleet) made(ctx context.Context, m *inventory.Machine) (*connection, error) {
	if m.Status.VM == nil {
		return nil, fmt.Errorf("machine %s is not made yet (ingot why %s): %w", m.Name, m.Name, inventory.ErrBusy)
	}
	return f.connect(ctx, m.Spec.VM.Host)
}

// Get asks the host of a machine that was made for it.
func (f *Fleet) Get(ctx context.Context, m *inventory.Machine) (hypervisor.VM, error) {
	c, err := f.made(ctx, m)
	if err != nil {
		return hypervisor.VM{}, err
	}
	return c.driver.Get(ctx, m.ID)
}

// Power brings a machine that was made to a power state.
func (f *Fleet) Power(ctx context.Context, m *inventory.Machine, to hypervisor.PowerState, how hypervisor.PowerHow) error {
	c, err := f.made(ctx, m)
	if err != nil {
		return err
	}
	return c.driver.SetPower(ctx, m.ID, to, how)
}

// Snapshots returns what keeps states of a machine; a host without is
// inventory.ErrUnsupported.
func (f *Fleet) Snapshots(ctx context.Context, m *inventory.Machine) (hypervisor.Snapshotter, error) {
	c, err := f.made(ctx, m)
	if err != nil {
		return nil, err
	}
	s, ok := c.driver.(hypervisor.Snapshotter)
	if !ok {
		return nil, fmt.Errorf("host %s keeps no snapshots: %w", c.host.Name, inventory.ErrUnsupported)
	}
	return s, nil
}

// Size is what a machine is to be changed to; zero values stay.
type Size struct {
	CPUs        int
	MemoryBytes int64
	// DiskBytes by number; disks only grow.
	DiskBytes map[int]int64
}

// Resize changes a machine at its host, and then what the inventory wants of it.
func (f *Fleet) Resize(ctx context.Context, m *inventory.Machine, to Size) error {
	c, err := f.made(ctx, m)
	if err != nil {
		return err
	}
	r, ok := c.driver.(hypervisor.Resizer)
	if !ok {
		return fmt.Errorf("host %s changes no sizes: %w", c.host.Name, inventory.ErrUnsupported)
	}
	want := *m.Spec.VM
	want.DiskBytes = append([]int64{}, want.DiskBytes...)
	if to.CPUs != 0 {
		want.CPUs = to.CPUs
	}
	if to.MemoryBytes != 0 {
		want.MemoryBytes = to.MemoryBytes
	}
	if err := want.Check(); err != nil {
		return err
	}
	if want.CPUs != m.Spec.VM.CPUs || want.MemoryBytes != m.Spec.VM.MemoryBytes {
		err := r.SetSize(ctx, m.ID, want.CPUs, want.MemoryBytes)
		if errors.Is(err, inventory.ErrBusy) {
			err = fmt.Errorf("CPUs and memory change while it is off (ingot vm stop %s): %w", m.Name, err)
		}
		if err != nil {
			return err
		}
	}
	for n, size := range to.DiskBytes {
		if n < 0 || n >= len(want.DiskBytes) {
			return inventory.NotFound("disk", fmt.Sprint(n))
		}
		if err := r.GrowDisk(ctx, m.ID, n, size); err != nil {
			return err
		}
		want.DiskBytes[n] = size
	}
	return f.cfg.Store.Update(ctx, func(x inventory.Tx) error {
		now, err := x.Machine(ctx, m.ID)
		if err != nil {
			return err
		}
		now.Spec.VM.CPUs, now.Spec.VM.MemoryBytes, now.Spec.VM.DiskBytes = want.CPUs, want.MemoryBytes, want.DiskBytes
		return x.PutMachine(ctx, now)
	})
}
