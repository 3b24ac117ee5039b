package vsphere

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"ingot/hypervisor"
	"ingot/inventory"
)

// CreateSnapshot implements hypervisor.Snapshotter. It keeps no memory: of a machine that
// runs it is what a power cut leaves on the disks.
func (d *Driver) CreateSnapshot(ctx context.Context, id, name string) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if _, there := snapshotNamed(m, name); there {
		return nil
	}
	return d.snapshot(ctx, m.Self, name)
}

func (d *Driver) snapshot(ctx context.Context, vm types.ManagedObjectReference, name string) error {
	_, err := d.run(ctx, "take snapshot", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.CreateSnapshot_Task(ctx, d.client, &types.CreateSnapshot_Task{This: vm, Name: name})
		return returned(res, err, func(r *types.CreateSnapshot_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	}, vm)
	return err
}

// Snapshots implements hypervisor.Snapshotter, the oldest first.
func (d *Driver) Snapshots(ctx context.Context, id string) ([]hypervisor.Snapshot, error) {
	m, err := d.find(ctx, id)
	if err != nil || m.Snapshot == nil {
		return nil, err
	}
	var all []hypervisor.Snapshot
	for _, s := range snapshotsOf(m.Snapshot.RootSnapshotList) {
		current := m.Snapshot.CurrentSnapshot
		all = append(all, hypervisor.Snapshot{Name: unescape(s.Name), Created: s.CreateTime, Current: current != nil && *current == s.Snapshot})
	}
	return all, nil
}

// RevertSnapshot implements hypervisor.Snapshotter.
func (d *Driver) RevertSnapshot(ctx context.Context, id, name string) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	s, there := snapshotNamed(m, name)
	if !there {
		return inventory.NotFound("snapshot", name)
	}
	if _, err := d.run(ctx, "revert to snapshot", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.RevertToSnapshot_Task(ctx, d.client, &types.RevertToSnapshot_Task{This: s.Snapshot, SuppressPowerOn: types.NewBool(true)})
		return returned(res, err, func(r *types.RevertToSnapshot_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	}, m.Self); err != nil {
		return err
	}
	return d.SetPower(ctx, id, hypervisor.Off, hypervisor.Force)
}

// DeleteSnapshot implements hypervisor.Snapshotter; those taken after it stay.
func (d *Driver) DeleteSnapshot(ctx context.Context, id, name string) error {
	m, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	s, there := snapshotNamed(m, name)
	if !there {
		return nil
	}
	_, err = d.run(ctx, "remove snapshot", func(ctx context.Context) (types.ManagedObjectReference, error) {
		res, err := methods.RemoveSnapshot_Task(ctx, d.client, &types.RemoveSnapshot_Task{This: s.Snapshot, RemoveChildren: false, Consolidate: types.NewBool(true)})
		return returned(res, err, func(r *types.RemoveSnapshot_TaskResponse) types.ManagedObjectReference { return r.Returnval })
	}, m.Self)
	return err
}

// snapshotsOf flattens a tree, the oldest first.
func snapshotsOf(tree []types.VirtualMachineSnapshotTree) []types.VirtualMachineSnapshotTree {
	var all []types.VirtualMachineSnapshotTree
	for _, s := range tree {
		all = append(append(all, s), snapshotsOf(s.ChildSnapshotList)...)
	}
	slices.SortStableFunc(all, func(a, b types.VirtualMachineSnapshotTree) int { return a.CreateTime.Compare(b.CreateTime) })
	return all
}

// snapshotNamed is the oldest of a name: vSphere allows several, we make one.
func snapshotNamed(m mo.VirtualMachine, name string) (types.VirtualMachineSnapshotTree, bool) {
	if m.Snapshot != nil {
		for _, s := range snapshotsOf(m.Snapshot.RootSnapshotList) {
			if unescape(s.Name) == name {
				return s, true
			}
		}
	}
	return types.VirtualMachineSnapshotTree{}, false
}

// named is a machine of which only the reference is known.
func named(ref types.ManagedObjectReference, name string) mo.VirtualMachine {
	var m mo.VirtualMachine
	m.Self, m.Name = ref, name
	return m
}
