package hyperv

import (
	"context"
	"fmt"
	"slices"

	"ingot/hypervisor"
	"ingot/inventory"
)

// CreateSnapshot implements hypervisor.Snapshotter, with a production checkpoint: of a
// machine that runs, its guest writes out what it holds. Where the guest can't, Hyper-V
// keeps the memory too, which a revert throws away.
func (d *Driver) CreateSnapshot(ctx context.Context, id, name string) error {
	m, all, err := d.checkpoints(ctx, id)
	if err != nil {
		return err
	}
	if _, there := named(all, name); there {
		return nil
	}
	if name == "" || len([]rune(name)) > nameMax {
		return inventory.Invalid("checkpoint name %q (want 1 to %d letters)", name, nameMax)
	}
	_, err = change(ctx, d, takeCheckpoint, "take checkpoint of machine "+id, checkpointRequest{d.paths.lock(id), m.VMID, name})
	return err
}

// Snapshots implements hypervisor.Snapshotter, the oldest first.
func (d *Driver) Snapshots(ctx context.Context, id string) ([]hypervisor.Snapshot, error) {
	_, all, err := d.checkpoints(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []hypervisor.Snapshot
	for _, c := range all.Checkpoints {
		out = append(out, hypervisor.Snapshot{Name: c.Name, Created: c.Created, Current: c.CheckpointID == all.Current})
	}
	return out, nil
}

// RevertSnapshot implements hypervisor.Snapshotter.
func (d *Driver) RevertSnapshot(ctx context.Context, id, name string) error {
	m, all, err := d.checkpoints(ctx, id)
	if err != nil {
		return err
	}
	c, there := named(all, name)
	if !there {
		return inventory.NotFound("snapshot", name)
	}
	_, err = change(ctx, d, restoreOne, "restore checkpoint of machine "+id, oneCheckpoint{d.paths.lock(id), m.VMID, c.CheckpointID})
	return err
}

// DeleteSnapshot implements hypervisor.Snapshotter; those taken after it stay. It waits
// until the disks are merged.
func (d *Driver) DeleteSnapshot(ctx context.Context, id, name string) error {
	m, all, err := d.checkpoints(ctx, id)
	if err != nil {
		return err
	}
	if c, there := named(all, name); there {
		if _, err := change(ctx, d, removeCheckpoint, "remove checkpoint of machine "+id, oneCheckpoint{d.paths.lock(id), m.VMID, c.CheckpointID}); err != nil {
			return err
		}
	}
	err = d.until(ctx, func() (bool, error) {
		all, err := call(ctx, d, listCheckpoints, "look at checkpoints of machine "+id, checkpointsRequest{m.VMID})
		return !merging(all.Status), err
	})
	if err != nil {
		return fmt.Errorf("wait for the disks of machine %s to be merged: %w", id, err)
	}
	return nil
}

// checkpoints are a machine's, the oldest first.
func (d *Driver) checkpoints(ctx context.Context, id string) (machine, checkpointsAnswer, error) {
	m, err := d.find(ctx, id)
	if err != nil {
		return m, checkpointsAnswer{}, err
	}
	all, err := call(ctx, d, listCheckpoints, "look at checkpoints of machine "+id, checkpointsRequest{m.VMID})
	slices.SortStableFunc(all.Checkpoints, func(a, b checkpoint) int { return a.Created.Compare(b.Created) })
	return m, all, err
}

// named is the oldest of a name: Hyper-V allows several, we make one.
func named(all checkpointsAnswer, name string) (checkpoint, bool) {
	i := slices.IndexFunc(all.Checkpoints, func(c checkpoint) bool { return c.Name == name })
	if i < 0 {
		return checkpoint{}, false
	}
	return all.Checkpoints[i], true
}

// merging reports whether a machine's disks are under work (VMOperationalStatus).
func merging(status []string) bool {
	return slices.Contains(status, "MergingDisks") || slices.Contains(status, "DeletingSnapshot")
}
