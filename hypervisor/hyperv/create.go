package hyperv

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Create implements hypervisor.Driver. What an earlier attempt left is taken away first:
// nothing of it was ever started, for a machine's notes say so when it is made.
func (d *Driver) Create(ctx context.Context, spec hypervisor.Spec) (hypervisor.VM, error) {
	if err := ctx.Err(); err != nil {
		return hypervisor.VM{}, err
	}
	release, err := d.turns.Take(ctx, "machine "+spec.ID)
	if err != nil {
		return hypervisor.VM{}, err
	}
	defer release()
	var vm hypervisor.VM
	err = d.patiently(ctx, func() (err error) {
		vm, err = d.create(ctx, spec)
		return err
	})
	return vm, err
}

// create is one attempt. It looks first: a script whose connection was lost may have made
// the machine since.
func (d *Driver) create(ctx context.Context, spec hypervisor.Spec) (hypervisor.VM, error) {
	switch m, err := d.find(ctx, spec.ID); {
	case err == nil:
		return d.asVM(m), nil
	case !errors.Is(err, inventory.ErrNotFound):
		return hypervisor.VM{}, err
	}
	j, err := d.prepare(ctx, spec, false)
	if err != nil {
		return hypervisor.VM{}, err
	}
	request := d.createRequest(j)
	if request.Seed, err = packSeed(ctx, d.seedPath(spec.ID), spec.Seed); err != nil {
		return hypervisor.VM{}, err
	}
	if err := d.sweep(ctx, spec.ID); err != nil {
		return hypervisor.VM{}, err
	}
	if _, err := once(ctx, d, createMachine, "create machine "+spec.Name, request); err != nil {
		return hypervisor.VM{}, err
	}
	return d.Get(ctx, spec.ID)
}

// sweep takes away what is left of making a machine. A machine in our folder that has
// disks and no mark was made whole once: somebody changed its notes, and it stays.
func (d *Driver) sweep(ctx context.Context, id string) error {
	all, err := d.traces(ctx, id)
	if err != nil {
		return err
	}
	ids := []string{}
	for _, m := range all {
		if d.is(m, id) && m.mark.State == made {
			return fmt.Errorf("machine %s: %w", id, inTheWay{"an earlier attempt made it just now"})
		}
		if m.mark.State != making && len(m.Disks) > 0 {
			return inventory.Conflict("machine %s at the host lies in the folder of machine %s and does not say so in its notes any more: delete %s, or give it this line again: %s",
				m.VMID, id, id, mark{Owner: d.config.Owner, ID: id, State: made}.line())
		}
		ids = append(ids, m.VMID)
	}
	if len(ids) == 0 {
		return nil // the script that creates clears the folder
	}
	return d.takeAway(ctx, id, ids, []string{d.paths.machine(id)})
}

func (d *Driver) seedPath(id string) string { return d.paths.machine(id) + `\` + seedFile }

// createRequest is what the script gets, but for the seed.
func (d *Driver) createRequest(j job) createRequest {
	s, folder := j.spec, d.paths.machine(j.spec.ID)
	kind, _ := j.clone()
	m := mark{Owner: d.config.Owner, ID: s.ID, Name: s.Name, Image: s.Image, State: making}
	if s.Image != "" {
		m.Clone = kind
	}
	r := createRequest{Lock: d.paths.lock(s.ID), Folder: folder, Name: machineName, VisibleName: visibleName(s.Name), Generation: j.generation(), Cpus: s.CPUs, MemoryBytes: s.MemoryBytes,
		SecureBoot: s.SecureBoot, Tpm: s.TPM, Making: m.line(), Disks: []diskRequest{}, Nics: []nicRequest{}}
	m.State = made
	r.Made = m.line()
	for i, one := range s.Disks {
		request := diskRequest{Path: fmt.Sprintf(`%s\disk%d%s`, folder, i, vhdx), SizeBytes: one.SizeBytes, Controller: scsi, Location: i}
		if i == 0 && j.generation() == 1 {
			request.Controller = ide
		}
		if i == 0 && j.image != nil {
			request.Parent = j.image.path
		}
		r.Disks = append(r.Disks, request)
	}
	for i, n := range s.NICs {
		r.Nics = append(r.Nics, nicRequest{Name: fmt.Sprintf("nic%d", i), Mac: strings.ToUpper(strings.ReplaceAll(string(n.MAC), ":", "")), Switch: j.switches[i], VlanID: n.VLAN})
	}
	return r
}
