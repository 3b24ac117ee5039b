package vsphere

import (
	"context"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// List implements hypervisor.Driver: one view of the whole datacenter, because a machine
// that was moved to another folder is still ours.
func (d *Driver) List(ctx context.Context) ([]hypervisor.VM, error) {
	all, err := d.all(ctx, vmPaths)
	if err != nil {
		return nil, err
	}
	var ours []hypervisor.VM
	for _, m := range all {
		if d.owns(m) {
			ours = append(ours, asVM(m))
		}
	}
	return ours, nil
}

// Get implements hypervisor.Driver.
func (d *Driver) Get(ctx context.Context, id string) (hypervisor.VM, error) {
	m, err := d.find(ctx, id)
	if err != nil {
		return hypervisor.VM{}, err
	}
	return asVM(m), nil
}

// all reads properties of all machines of the datacenter.
func (d *Driver) all(ctx context.Context, paths []string) ([]mo.VirtualMachine, error) {
	var all []mo.VirtualMachine
	err := d.below(ctx, d.place.datacenter.VmFolder, "VirtualMachine", paths, &all)
	return all, translate("list machines", err)
}

// owns tells whether a machine is one of this owner's.
func (d *Driver) owns(m mo.VirtualMachine) bool {
	return note(m, keyOwner) == d.config.Owner && note(m, keyID) != ""
}

// find looks a machine up by its instance UUID, and if that has another one (because it
// was adopted) among all of them.
func (d *Driver) find(ctx context.Context, id string) (mo.VirtualMachine, error) {
	m, err := d.byUUID(ctx, hypervisor.UUID(d.config.Owner, id))
	if err != nil {
		return m, err
	}
	if d.owns(m) && note(m, keyID) == id {
		return m, nil
	}
	all, err := d.all(ctx, append([]string{"snapshot"}, vmPaths...))
	if err != nil {
		return m, err
	}
	for _, m := range all {
		if d.owns(m) && note(m, keyID) == id {
			return m, nil
		}
	}
	return mo.VirtualMachine{}, inventory.NotFound("machine", id)
}

// byUUID reads the machine of an instance UUID; an empty one when there is none.
func (d *Driver) byUUID(ctx context.Context, uuid string) (mo.VirtualMachine, error) {
	var m mo.VirtualMachine
	res, err := methods.FindByUuid(ctx, d.client, &types.FindByUuid{This: *d.client.ServiceContent.SearchIndex,
		Datacenter: &d.place.datacenter.Self, Uuid: uuid, VmSearch: true, InstanceUuid: types.NewBool(true)})
	if err != nil || res.Returnval == nil {
		return m, translate("look for machine "+uuid, err)
	}
	err = d.object(ctx, *res.Returnval, append([]string{"snapshot"}, vmPaths...), &m)
	var gone *types.ManagedObjectNotFound
	if asFault(err, &gone) {
		return mo.VirtualMachine{}, nil
	}
	return m, translate("read machine "+uuid, err)
}
