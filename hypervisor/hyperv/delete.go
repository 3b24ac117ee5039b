package hyperv

import (
	"context"
	"fmt"
	"slices"
)

// Delete implements hypervisor.Driver. Disks of an adopted machine stay: we did not make
// them. Everything that we make lies in the machine's folder.
func (d *Driver) Delete(ctx context.Context, id string) error {
	release, err := d.turns.take(ctx, "machine "+id)
	if err != nil {
		return err
	}
	defer release()
	all, err := d.traces(ctx, id)
	if err != nil {
		return err
	}
	request := deleteRequest{VMIDs: []string{}, Folder: d.paths.machine(id)}
	marked := without(all, func(m machine) bool { return !d.is(m, id) })
	if len(marked) > 0 {
		one, err := d.only(id, marked)
		if err != nil {
			return err
		}
		request.VMIDs = append(request.VMIDs, one.VMID)
	}
	for _, m := range all {
		if below(m.Path, request.Folder) && !slices.Contains(request.VMIDs, m.VMID) {
			request.VMIDs = append(request.VMIDs, m.VMID)
		}
	}
	return d.takeAway(ctx, id, request)
}

// takeAway repeats the script while disks are in use: Hyper-V merges those of checkpoints
// before it lets them go.
func (d *Driver) takeAway(ctx context.Context, id string, request deleteRequest) error {
	err := d.until(ctx, func() (bool, error) {
		answer, err := call(ctx, d, deleteMachine, "delete machine "+id, request)
		return !answer.Busy, err
	})
	if err != nil {
		return fmt.Errorf("take machine %s away: %w", id, err)
	}
	return nil
}
