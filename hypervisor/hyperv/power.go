package hyperv

import (
	"context"
	"fmt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// What Msvm_ShutdownComponent.InitiateShutdown returns (Hyper-V WMI provider V2).
const (
	shutdownStarted     = 0
	shutdownJob         = 4096
	shutdownDenied      = 32769
	shutdownUnsupported = 32770
	shutdownState       = 32775
	shutdownNotReady    = 32780
	shutdownUnderWay    = 32782
)

// SetPower implements hypervisor.Driver.
func (d *Driver) SetPower(ctx context.Context, id string, to hypervisor.PowerState, how hypervisor.PowerHow) error {
	if to != hypervisor.On && to != hypervisor.Off {
		return inventory.Invalid("machine %s: power %q (want on or off)", id, to)
	}
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if m.State == stopping {
		if m.State, err = d.stopped(ctx, m, to, how); err != nil {
			return err
		}
	}
	switch now := powerOf(m.State); {
	case now == to:
		return nil
	case to == hypervisor.On:
		return d.act(ctx, m, start, "start machine "+id)
	case how == hypervisor.Force:
		return d.act(ctx, m, turnOff, "turn off machine "+id)
	case now != hypervisor.On:
		return fmt.Errorf("machine %s is %s, so its guest can't be asked to shut down: start it, or use force: %w", id, m.State, inventory.ErrBusy)
	}
	return d.shutDown(ctx, m)
}

func (d *Driver) act(ctx context.Context, m machine, what powerAction, doing string) error {
	_, err := change(ctx, d, powerMachine, doing, powerRequest{d.paths.lock(m.mark.ID), m.VMID, what})
	return err
}

// stopping is the state of a machine that is on its way to off.
const stopping = "Stopping"

// stopped waits until a machine that stops is off, and returns its state. One that is to be
// off by force is not waited for.
func (d *Driver) stopped(ctx context.Context, m machine, to hypervisor.PowerState, how hypervisor.PowerHow) (state string, err error) {
	if to == hypervisor.Off && how == hypervisor.Force {
		return m.State, nil
	}
	err = d.patiently(ctx, func() error {
		answer, err := call(ctx, d, powerMachine, "look at machine "+m.mark.ID, powerRequest{d.paths.lock(m.mark.ID), m.VMID, look})
		if state = answer.State; err == nil && state == stopping {
			err = fmt.Errorf("machine %s: %w", m.mark.ID, inTheWay{"it is being shut down"})
		}
		return err
	})
	return state, err
}

// shutDown asks the guest and looks until it is off or ctx ends; then it is left running.
func (d *Driver) shutDown(ctx context.Context, m machine) error {
	doing := "shut down machine " + m.mark.ID
	answer, err := change(ctx, d, powerMachine, doing, powerRequest{d.paths.lock(m.mark.ID), m.VMID, shutDown})
	if err != nil {
		return err
	}
	if err := shutdownError(answer.Code); err != nil && powerOf(answer.State) != hypervisor.Off {
		return fmt.Errorf("%s: %w", doing, err)
	}
	err = d.until(ctx, func() (bool, error) {
		answer, err := call(ctx, d, powerMachine, doing, powerRequest{d.paths.lock(m.mark.ID), m.VMID, look})
		return powerOf(answer.State) == hypervisor.Off, err
	})
	if err != nil {
		return fmt.Errorf("wait for the guest to shut down: %w", err)
	}
	return nil
}

// shutdownError says why a guest was not asked.
func shutdownError(code int64) error {
	switch code {
	case shutdownStarted, shutdownJob, shutdownUnderWay:
		return nil
	case shutdownDenied:
		return fmt.Errorf("the login may not: %w", inventory.ErrDenied)
	case shutdownUnsupported, shutdownNotReady:
		return fmt.Errorf("no integration services run in the guest (install hyperv-daemons or linux-cloud-tools, or use force): %w", inventory.ErrUnsupported)
	case shutdownState:
		return fmt.Errorf("the machine is in a state in which it can't be asked: %w", inventory.ErrBusy)
	}
	return fmt.Errorf("the guest was not asked (code %d): %w", code, inventory.ErrBusy)
}
