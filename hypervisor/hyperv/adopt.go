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
// else.
func (d *Driver) Adopt(ctx context.Context, uuid, id string) (hypervisor.VM, error) {
	if id == "" {
		return hypervisor.VM{}, inventory.Invalid("machine without ID")
	}
	release, err := d.turns.take(ctx, "machine "+id)
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
	case it.mark.Owner != "" || below(it.Path, d.paths.root):
		return hypervisor.VM{}, inventory.Conflict("machine %s belongs to %q as %q", it.Name, it.mark.Owner, it.mark.ID)
	}
	return d.adopt(ctx, *it, id)
}

func (d *Driver) adopt(ctx context.Context, m machine, id string) (hypervisor.VM, error) {
	line := mark{Owner: d.config.Owner, ID: id, State: adopted}
	if _, err := call(ctx, d, setNotes, fmt.Sprintf("adopt machine %s as %s", m.Name, id), setNotesRequest{m.VMID, m.Notes, line.write(m.Notes)}); err != nil {
		return hypervisor.VM{}, err
	}
	return d.Get(ctx, id)
}
