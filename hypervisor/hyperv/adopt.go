package hyperv

import (
	"context"
	"fmt"
	"strings"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Foreign implements hypervisor.Adopter.
func (d *Driver) Foreign(ctx context.Context) ([]hypervisor.VM, error) {
	all, err := d.machines(ctx, selection{Marks: []string{anyMark}, Folders: []string{d.paths.root + `\`}, Others: true})
	if err != nil {
		return nil, err
	}
	var foreign []hypervisor.VM
	for _, m := range all {
		foreign = append(foreign, d.asVM(m))
	}
	return foreign, nil
}

// Adopt implements hypervisor.Adopter. It adds a line to the notes and changes nothing
// else. A machine that this owner adopted before comes under the new ID.
func (d *Driver) Adopt(ctx context.Context, uuid, id string) (hypervisor.VM, error) {
	if id == "" {
		return hypervisor.VM{}, inventory.Invalid("machine without ID")
	}
	release, err := d.turns.Take(ctx, "machine "+id)
	if err != nil {
		return hypervisor.VM{}, err
	}
	defer release()
	all, err := d.machines(ctx, selection{Marks: []string{""}, Folders: []string{}})
	if err != nil {
		return hypervisor.VM{}, err
	}
	var it *machine
	for i, m := range all {
		if strings.EqualFold(m.VMID, uuid) {
			it = &all[i]
		} else if d.is(m, id) {
			return hypervisor.VM{}, inventory.Conflict("there is a machine %s already", id)
		}
	}
	switch {
	case it == nil:
		return hypervisor.VM{}, inventory.NotFound("machine", uuid)
	case d.is(*it, id):
		return d.asVM(*it), nil
	case !d.mayAdopt(*it):
		return hypervisor.VM{}, inventory.Conflict("machine %s belongs to %q as %q", it.Name, it.mark.Owner, it.mark.ID)
	}
	return d.adopt(ctx, *it, id)
}

func (d *Driver) adopt(ctx context.Context, m machine, id string) (hypervisor.VM, error) {
	line := mark{Owner: d.config.Owner, ID: id, State: adopted}
	notes := line.write(m.Notes)
	if _, err := change(ctx, d, setNotes, fmt.Sprintf("adopt machine %s as %s", m.Name, id), setNotesRequest{d.paths.lock(id), m.VMID, m.Notes, notes}); err != nil {
		return hypervisor.VM{}, err
	}
	m.mark, m.Notes = line, notes
	return d.asVM(m), nil
}

// mayAdopt reports a machine that is nobody's, or one that we adopted under an ID that its
// caller may have lost: a cut after the notes were written leaves such a one.
func (d *Driver) mayAdopt(m machine) bool {
	if m.mark.Owner == d.config.Owner && m.mark.State == adopted {
		return true
	}
	return m.mark.Owner == "" && !below(m.Path, d.paths.root)
}
