package hyperv

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Get implements hypervisor.Driver.
func (d *Driver) Get(ctx context.Context, id string) (hypervisor.VM, error) {
	m, err := d.find(ctx, id)
	if err != nil {
		return hypervisor.VM{}, err
	}
	return d.asVM(m), nil
}

// List implements hypervisor.Driver, in one round trip.
func (d *Driver) List(ctx context.Context) ([]hypervisor.VM, error) {
	all, err := d.machines(ctx, selection{Marks: []string{ownerMark(d.config.Owner)}, Folders: []string{}})
	if err != nil {
		return nil, err
	}
	byID := map[string][]machine{}
	for _, m := range all {
		if m.mark.Owner == d.config.Owner && m.mark.State != making {
			byID[m.mark.ID] = append(byID[m.mark.ID], m)
		}
	}
	var vms []hypervisor.VM
	for id, same := range byID {
		m, err := d.only(id, same)
		if err != nil {
			d.log.Warn("machine is left out", "machine", id, "err", err)
			continue
		}
		vms = append(vms, d.asVM(m))
	}
	slices.SortFunc(vms, func(a, b hypervisor.VM) int { return strings.Compare(a.ID, b.ID) })
	return vms, nil
}

// machines reads machines and their marks.
func (d *Driver) machines(ctx context.Context, which selection) ([]machine, error) {
	answer, err := call(ctx, d, listMachines, "list machines", which)
	if err != nil {
		return nil, err
	}
	for i := range answer.Machines {
		answer.Machines[i].mark = readMark(answer.Machines[i].Notes)
	}
	return answer.Machines, nil
}

// traces are all machines that are this one, or what is left of making it.
func (d *Driver) traces(ctx context.Context, id string) ([]machine, error) {
	folder := d.paths.machine(id)
	all, err := d.machines(ctx, selection{Marks: []string{idMark(d.config.Owner, id)}, Folders: []string{folder + `\`}})
	return without(all, func(m machine) bool { return !d.is(m, id) && !below(m.Path, folder) }), err
}

// is reports whether a machine says that it is ours.
func (d *Driver) is(m machine, id string) bool {
	return m.mark.Owner == d.config.Owner && m.mark.ID == id
}

// find is the machine of an ID, made whole.
func (d *Driver) find(ctx context.Context, id string) (machine, error) {
	all, err := d.traces(ctx, id)
	if err != nil {
		return machine{}, fmt.Errorf("find machine %s: %w", id, err)
	}
	whole := without(all, func(m machine) bool { return !d.is(m, id) || m.mark.State == making })
	if len(whole) == 0 {
		return machine{}, inventory.NotFound("machine", id)
	}
	return d.only(id, whole)
}

// only picks the one that is meant: an imported copy has the notes of the machine it was
// made of, and another folder.
func (d *Driver) only(id string, same []machine) (machine, error) {
	if len(same) > 1 {
		same = slices.Clone(same)
		slices.SortStableFunc(same, func(a, b machine) int {
			return rank(below(b.Path, d.paths.machine(id))) - rank(below(a.Path, d.paths.machine(id)))
		})
		if !below(same[0].Path, d.paths.machine(id)) || below(same[1].Path, d.paths.machine(id)) {
			return machine{}, inventory.Conflict("machines %s and %s at the host both say in their notes that they are %s: take the line away from the copy", same[0].VMID, same[1].VMID, id)
		}
	}
	return same[0], nil
}

func rank(first bool) int {
	if first {
		return 1
	}
	return 0
}
