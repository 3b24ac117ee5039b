package vsphere

import (
	"context"

	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Foreign implements hypervisor.Adopter. Templates and images are not machines.
func (d *Driver) Foreign(ctx context.Context) ([]hypervisor.VM, error) {
	all, err := d.all(ctx, vmPaths)
	if err != nil {
		return nil, err
	}
	var foreign []hypervisor.VM
	for _, m := range all {
		if m.Config != nil && !m.Config.Template && note(m, keyOwner) == "" {
			foreign = append(foreign, asVM(m))
		}
	}
	return foreign, nil
}

// Adopt implements hypervisor.Adopter: it writes the marks, and leaves the instance UUID,
// by which backup software knows the machine.
func (d *Driver) Adopt(ctx context.Context, uuid, id string) (hypervisor.VM, error) {
	if id == "" {
		return hypervisor.VM{}, inventory.Invalid("machine without ID")
	}
	m, err := d.byUUID(ctx, uuid)
	switch owner := note(m, keyOwner); {
	case err != nil:
		return hypervisor.VM{}, err
	case m.Self.Value == "":
		return hypervisor.VM{}, inventory.NotFound("machine", uuid)
	case d.owns(m) && note(m, keyID) == id:
		return asVM(m), nil
	case owner != "":
		return hypervisor.VM{}, inventory.Conflict("machine %s belongs to %q as %q", unescape(m.Name), owner, note(m, keyID))
	}
	if _, err := d.find(ctx, id); err == nil {
		return hypervisor.VM{}, inventory.Conflict("there is a machine %s already", id)
	}
	marks := []types.BaseOptionValue{&types.OptionValue{Key: keyID, Value: id}, &types.OptionValue{Key: keyOwner, Value: d.config.Owner}}
	if err := d.reconfigure(ctx, m.Self, types.VirtualMachineConfigSpec{ExtraConfig: marks}); err != nil {
		return hypervisor.VM{}, err
	}
	return d.Get(ctx, id)
}
