package vsphere

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// SetPower implements hypervisor.Driver.
func (d *Driver) SetPower(ctx context.Context, id string, to hypervisor.PowerState, how hypervisor.PowerHow) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case to != hypervisor.On && to != hypervisor.Off:
		return inventory.Invalid("machine %s: power %q (want on or off)", id, to)
	case power(m.Runtime.PowerState) == to:
		return nil
	case to == hypervisor.On:
		return d.powerOn(ctx, m)
	case how == hypervisor.Force:
		return d.powerOff(ctx, m)
	}
	return d.shutDown(ctx, m)
}

func (d *Driver) powerOn(ctx context.Context, m mo.VirtualMachine) error {
	_, err := d.run(ctx, "power on", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.PowerOnVM_Task(ctx, d.client, &types.PowerOnVM_Task{This: m.Self})
		return returned(res, err, func(r *types.PowerOnVM_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	}, m.Self)
	return already(err, types.VirtualMachinePowerStatePoweredOn)
}

func (d *Driver) powerOff(ctx context.Context, m mo.VirtualMachine) error {
	_, err := d.run(ctx, "power off", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.PowerOffVM_Task(ctx, d.client, &types.PowerOffVM_Task{This: m.Self})
		return returned(res, err, func(r *types.PowerOffVM_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	}, m.Self)
	return already(err, types.VirtualMachinePowerStatePoweredOff)
}

// already forgives a change to the state that somebody else brought about meanwhile.
func already(err error, state types.VirtualMachinePowerState) error {
	var fault *types.InvalidPowerState
	if asFault(err, &fault) && fault.ExistingState == state {
		return nil
	}
	return err
}

// shutDown asks the guest and waits until it is off or ctx ends. The call itself returns
// at once.
func (d *Driver) shutDown(ctx context.Context, m mo.VirtualMachine) error {
	_, err := methods.ShutdownGuest(ctx, d.client, &types.ShutdownGuest{This: m.Self})
	var tools *types.ToolsUnavailable
	switch {
	case asFault(err, &tools):
		return fmt.Errorf("the guest can't be asked to shut down: no guest tools run in it (install open-vm-tools, or use force): %w", inventory.ErrUnsupported)
	case err != nil:
		return already(translate("shut down", err), types.VirtualMachinePowerStatePoweredOff)
	}
	err = d.watch(ctx, []watched{{m.Self, []string{"runtime.powerState"}}}, func(u types.ObjectUpdate) bool {
		for _, c := range u.ChangeSet {
			if c.Val == types.VirtualMachinePowerStatePoweredOff {
				return true
			}
		}
		return false
	})
	return translate("wait for the guest to shut down", err)
}
