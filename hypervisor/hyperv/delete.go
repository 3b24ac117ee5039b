package hyperv

import (
	"context"
	"fmt"
	"slices"
)

// Delete implements hypervisor.Driver. Disks of an adopted machine stay: we did not make
// them. Everything that we make lies in the machine's folder. While disks are in use
// (Hyper-V merges those of checkpoints before it lets them go) it looks again.
func (d *Driver) Delete(ctx context.Context, id string) error {
	release, err := d.turns.Take(ctx, "machine "+id)
	if err != nil {
		return err
	}
	defer release()
	return d.patiently(ctx, func() error {
		all, err := d.traces(ctx, id)
		if err != nil {
			return err
		}
		ids, folders, err := d.doomed(id, all)
		if err != nil {
			return err
		}
		return d.takeAway(ctx, id, ids, folders)
	})
}

// doomed are the machines and folders that go with a machine: all in our folder, or else
// the one elsewhere that says it is the machine. A copy of one in our folder stays.
func (d *Driver) doomed(id string, all []machine) (ids, folders []string, err error) {
	ids, folders = []string{}, []string{d.paths.machine(id)}
	inside := without(all, func(m machine) bool { return !below(m.Path, folders[0]) })
	for _, m := range inside {
		ids = append(ids, m.VMID)
	}
	outside := without(all, func(m machine) bool { return below(m.Path, folders[0]) })
	if len(outside) == 0 || slices.ContainsFunc(inside, func(m machine) bool { return d.is(m, id) }) {
		return ids, folders, nil
	}
	one, err := d.only(id, outside)
	if err != nil {
		return nil, nil, err
	}
	if home := d.paths.home(one.Path, id); home != "" && one.mark.State != adopted {
		folders = append(folders, home)
	}
	return append(ids, one.VMID), folders, nil
}

// takeAway takes machines and folders away, or says what is in the way.
func (d *Driver) takeAway(ctx context.Context, id string, ids, folders []string) error {
	answer, err := once(ctx, d, deleteMachine, "delete machine "+id, deleteRequest{Lock: d.paths.lock(id), VMIDs: ids, Folders: folders})
	if err == nil && answer.Busy != "" {
		err = fmt.Errorf("delete machine %s: %w", id, inTheWay{answer.Busy})
	}
	return err
}
