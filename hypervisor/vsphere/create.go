package vsphere

import (
	"context"
	"errors"
	"fmt"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Create implements hypervisor.Driver.
func (d *Driver) Create(ctx context.Context, spec hypervisor.Spec) (hypervisor.VM, error) {
	if err := d.check(spec); err != nil {
		return hypervisor.VM{}, err
	}
	there, err := d.find(ctx, spec.ID)
	if err == nil {
		return asVM(there), nil
	}
	if !errors.Is(err, inventory.ErrNotFound) {
		return hypervisor.VM{}, err
	}
	j, err := d.prepare(ctx, spec, false)
	if err != nil {
		return hypervisor.VM{}, err
	}
	if err := d.putSeed(ctx, spec.ID, spec.Seed); err != nil {
		return hypervisor.VM{}, err
	}
	folder, err := d.machines(ctx, true)
	if err != nil {
		return hypervisor.VM{}, err
	}
	if j.image != nil && d.client.IsVC() {
		err = d.cloneVM(ctx, d.cloneRequest(j, folder))
	} else {
		err = d.createVM(ctx, j, folder)
	}
	if err != nil {
		return hypervisor.VM{}, fmt.Errorf("make machine %s: %w", spec.Name, err)
	}
	return d.Get(ctx, spec.ID)
}

func (d *Driver) cloneVM(ctx context.Context, req *types.CloneVM_Task) error {
	_, err := d.run(ctx, "clone image", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.CloneVM_Task(ctx, d.client, req)
		return returned(res, err, func(r *types.CloneVM_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	})
	return err
}

// createVM makes a machine's directory and root disk, and then the machine.
func (d *Driver) createVM(ctx context.Context, j job, folder types.ManagedObjectReference) error {
	if err := d.ownDirectory(ctx, j.name); err != nil {
		return err
	}
	file := ""
	if j.image != nil {
		file = d.onDatastore(j.name + "/" + j.name + ".vmdk")
		if err := d.copyDisk(ctx, fileOf(j.image.disk), file); err != nil {
			return err
		}
		if j.rootSize() > sizeOf(j.image.disk) {
			if err := d.extendDisk(ctx, file, j.rootSize()); err != nil {
				return err
			}
		}
	}
	_, err := d.run(ctx, "create machine", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.CreateVM_Task(ctx, d.client, d.createRequest(j, folder, j.name, file))
		return returned(res, err, func(r *types.CreateVM_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	})
	return err
}

// ownDirectory makes a machine's directory anew: what an earlier try left in it goes.
func (d *Driver) ownDirectory(ctx context.Context, name string) error {
	err := d.makeDirectory(ctx, name)
	if err == nil || !errors.Is(err, inventory.ErrConflict) {
		return err
	}
	if err := d.clearDirectories(ctx, []string{name}); err != nil {
		return err
	}
	return d.makeDirectory(ctx, name)
}

// copyDisk copies a disk thin. Without a specification it would become a preallocated one
// (VirtualDiskManager.CopyVirtualDisk_Task, destSpec).
func (d *Driver) copyDisk(ctx context.Context, from, to string) error {
	_, err := d.run(ctx, "copy the image's disk", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.CopyVirtualDisk_Task(ctx, d.client, &types.CopyVirtualDisk_Task{This: *d.client.ServiceContent.VirtualDiskManager,
			SourceName: from, SourceDatacenter: &d.place.datacenter.Self, DestName: to, DestDatacenter: &d.place.datacenter.Self,
			DestSpec: &types.VirtualDiskSpec{DiskType: string(types.VirtualDiskTypeThin), AdapterType: adapterType}})
		return returned(res, err, func(r *types.CopyVirtualDisk_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	})
	return err
}

func (d *Driver) extendDisk(ctx context.Context, file string, size int64) error {
	_, err := d.run(ctx, "grow the copied disk", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.ExtendVirtualDisk_Task(ctx, d.client, &types.ExtendVirtualDisk_Task{This: *d.client.ServiceContent.VirtualDiskManager,
			Name: file, Datacenter: &d.place.datacenter.Self, NewCapacityKb: size >> 10, EagerZero: types.NewBool(false)})
		return returned(res, err, func(r *types.ExtendVirtualDisk_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	})
	return err
}

// reconfigure changes a machine.
func (d *Driver) reconfigure(ctx context.Context, vm types.ManagedObjectReference, spec types.VirtualMachineConfigSpec) error {
	_, err := d.run(ctx, "reconfigure machine", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.ReconfigVM_Task(ctx, d.client, &types.ReconfigVM_Task{This: vm, Spec: spec})
		return returned(res, err, func(r *types.ReconfigVM_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	}, vm)
	return err
}
