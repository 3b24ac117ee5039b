package hyperv

import (
	"context"
)

// Watch implements hypervisor.Watcher: it looks every so often, in one call. The machines
// as they are at the start are not changes. After looks that failed, f is called with "".
func (d *Driver) Watch(ctx context.Context, f func(id string)) error {
	var before map[string]watched
	lost := false
	for {
		now, err := d.look(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			if !lost {
				d.log.Warn("watch is interrupted", "err", err)
			}
			lost = true
		default:
			if lost {
				f("")
			} else if before != nil {
				tell(before, now, f)
			}
			before, lost = now, false
		}
		if err := pause(ctx, d.config.Every); err != nil {
			return err
		}
	}
}

// look reads what is watched of this owner's machines, by GUID.
func (d *Driver) look(ctx context.Context) (map[string]watched, error) {
	answer, err := call(ctx, d, watchMachines, "watch machines", watchRequest{Marks: []string{ownerMark(d.config.Owner)}, Folders: []string{}})
	if err != nil {
		return nil, err
	}
	now := map[string]watched{}
	for _, w := range answer.Machines {
		now[w.VMID] = w
	}
	return now, nil
}

// tell calls f for each machine that differs, came or went.
func tell(before, now map[string]watched, f func(id string)) {
	ids := map[string]bool{}
	for vmID, w := range now {
		if before[vmID] != w {
			ids[readMark(w.Notes).ID] = true
		}
	}
	for vmID, w := range before {
		if _, there := now[vmID]; !there {
			ids[readMark(w.Notes).ID] = true
		}
	}
	for id := range ids {
		if id != "" {
			f(id)
		}
	}
}
