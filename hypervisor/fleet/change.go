package fleet

import (
	"context"
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
