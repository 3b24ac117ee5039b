package fleet

import (
	"context"
	"fmt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Foreign lists a host's machines that belong to nobody.
func (f *Fleet) Foreign(ctx context.Context, host string) ([]hypervisor.VM, error) {
	a, err := f.adopter(ctx, host)
	if err != nil {
		return nil, err
	}
	return a.Foreign(ctx)
}

func (f *Fleet) adopter(ctx context.Context, host string) (hypervisor.Adopter, error) {
	c, err := f.connect(ctx, host)
	if err != nil {
		return nil, err
	}
	a, ok := c.driver.(hypervisor.Adopter)
	if !ok {
		return nil, fmt.Errorf("host %s has no machines to adopt: %w", host, inventory.ErrUnsupported)
	}
	return a, nil
}

// Adopt takes a foreign machine, by its UUID or name at the host, into the inventory
// under a name. Nothing else of it changes: it is deployed, with no image known.
func (f *Fleet) Adopt(ctx context.Context, host, which, name string) (*inventory.Machine, error) {
	if err := inventory.CheckName(name); err != nil {
		return nil, err
	}
	a, err := f.adopter(ctx, host)
	if err != nil {
		return nil, err
	}
	vm, err := find(ctx, a, which)
	if err != nil {
		return nil, err
	}
	m := adopted(vm, inventory.NewVM(name, wantOf(host, vm), f.cfg.Now()))
	err = f.cfg.Store.Update(ctx, func(x inventory.Tx) error {
		if err := x.PutMachine(ctx, m); err != nil {
			return err
		}
		e, err := inventory.NewEvent(m, f.cfg.Now(), inventory.Ordered{Order: "adopt from " + host})
		if err == nil {
			_, err = x.AddEvent(ctx, e)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := a.Adopt(ctx, vm.UUID, m.ID); err != nil && !f.marked(ctx, host, m.ID) {
		return nil, f.disown(ctx, m, err)
	}
	return m, nil
}

// marked looks whether a machine that could not be adopted was, and only the answer was
// lost: nobody would find it again.
func (f *Fleet) marked(ctx context.Context, host, id string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	c, err := f.connect(ctx, host)
	if err != nil {
		return false
	}
	_, err = c.driver.Get(ctx, id)
	return err == nil
}

// disown takes back what Adopt put into the inventory.
func (f *Fleet) disown(ctx context.Context, m *inventory.Machine, cause error) error {
	err := f.cfg.Store.Update(context.WithoutCancel(ctx), func(x inventory.Tx) error { return x.DeleteMachine(ctx, m.ID) })
	if err != nil {
		return fmt.Errorf("%w; and machine %s stays in the inventory: %w", cause, m.Name, err)
	}
	return cause
}

func find(ctx context.Context, a hypervisor.Adopter, which string) (found hypervisor.VM, err error) {
	all, err := a.Foreign(ctx)
	if err != nil {
		return found, err
	}
	n := 0
	for _, vm := range all {
		if vm.UUID == which || vm.Name == which {
			found = vm
			n++
		}
	}
	switch n {
	case 0:
		return found, inventory.NotFound("foreign machine", which)
	case 1:
		return found, nil
	}
	return found, inventory.Invalid("%d machines are named %q: give the UUID", n, which)
}

// wantOf takes a machine as it is for what is wanted.
func wantOf(host string, vm hypervisor.VM) inventory.VMSpec {
	spec := inventory.VMSpec{Host: host, CPUs: vm.CPUs, MemoryBytes: vm.MemoryBytes, Firmware: vm.Firmware, SecureBoot: vm.SecureBoot, TPM: vm.TPM}
	for _, d := range vm.Disks {
		spec.DiskBytes = append(spec.DiskBytes, d.SizeBytes)
	}
	for _, n := range vm.NICs {
		spec.NICs = append(spec.NICs, inventory.VMNIC{MAC: n.MAC, Network: n.Network, VLAN: n.VLAN})
	}
	return spec
}

// adopted fills in what the host knows.
func adopted(vm hypervisor.VM, m *inventory.Machine) *inventory.Machine {
	m.Status.State, m.Status.Firmware = inventory.Deployed, vm.Firmware
	m.Status.VM = &inventory.VMStatus{UUID: vm.UUID, Clone: string(vm.Clone), Why: "adopted"}
	for _, n := range vm.NICs {
		for _, a := range n.Addresses {
			if !m.Status.Address.IsValid() {
				m.Status.Address, m.Status.AddressSource = a.IP, string(a.Source)
			}
		}
	}
	return m
}
