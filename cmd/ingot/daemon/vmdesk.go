package daemon

import (
	"context"
	"io"

	"ingot/hypervisor"
	"ingot/hypervisor/fleet"
	"ingot/inventory"
	"ingot/inventory/api"
)

// Power implements rest.VMs.
func (h hostDesk) Power(ctx context.Context, m *inventory.Machine, p api.VMPower) error {
	to, how := hypervisor.Off, hypervisor.Graceful
	if p.On {
		to = hypervisor.On
	}
	if p.Force {
		how = hypervisor.Force
	}
	return h.d.fleet.Power(ctx, m, to, how)
}

// State implements rest.VMs.
func (h hostDesk) State(ctx context.Context, m *inventory.Machine) (api.VMState, error) {
	vm, err := h.d.fleet.Get(ctx, m)
	return api.VMState{Power: string(vm.Power)}, err
}

// Resize implements rest.VMs.
func (h hostDesk) Resize(ctx context.Context, m *inventory.Machine, to api.VMResize) error {
	return h.d.fleet.Resize(ctx, m, fleet.Size(to))
}

// Snapshots implements rest.VMs.
func (h hostDesk) Snapshots(ctx context.Context, m *inventory.Machine) ([]api.VMSnapshot, error) {
	s, err := h.d.fleet.Snapshots(ctx, m)
	if err != nil {
		return nil, err
	}
	all, err := s.Snapshots(ctx, m.ID)
	out := []api.VMSnapshot{}
	for _, one := range all {
		out = append(out, api.VMSnapshot(one))
	}
	return out, err
}

// Snapshot implements rest.VMs.
func (h hostDesk) Snapshot(ctx context.Context, m *inventory.Machine, name string) error {
	s, err := h.d.fleet.Snapshots(ctx, m)
	if err != nil {
		return err
	}
	return s.CreateSnapshot(ctx, m.ID, name)
}

// Revert implements rest.VMs.
func (h hostDesk) Revert(ctx context.Context, m *inventory.Machine, name string) error {
	s, err := h.d.fleet.Snapshots(ctx, m)
	if err != nil {
		return err
	}
	return s.RevertSnapshot(ctx, m.ID, name)
}

// DeleteSnapshot implements rest.VMs.
func (h hostDesk) DeleteSnapshot(ctx context.Context, m *inventory.Machine, name string) error {
	s, err := h.d.fleet.Snapshots(ctx, m)
	if err != nil {
		return err
	}
	return s.DeleteSnapshot(ctx, m.ID, name)
}

// Drift implements rest.VMs.
func (h hostDesk) Drift(ctx context.Context, m *inventory.Machine) ([]api.VMDifference, error) {
	all, err := h.d.fleet.Drift(ctx, m)
	out := []api.VMDifference{}
	for _, d := range all {
		out = append(out, api.VMDifference{Machine: m.Name, Field: d.Field, Want: d.Want, Have: d.Have})
	}
	return out, err
}

// Console implements rest.VMs.
func (h hostDesk) Console(ctx context.Context, m *inventory.Machine, force bool, joined func() (io.ReadWriter, error)) error {
	return h.d.fleet.Console(ctx, m, force, joined)
}

// Foreign implements rest.VMs.
func (h hostDesk) Foreign(ctx context.Context, host string) ([]api.ForeignVM, error) {
	all, err := h.d.fleet.Foreign(ctx, host)
	out := []api.ForeignVM{}
	for _, vm := range all {
		out = append(out, api.ForeignVM{Host: host, UUID: vm.UUID, Name: vm.Name, Power: string(vm.Power), CPUs: vm.CPUs, MemoryBytes: vm.MemoryBytes})
	}
	return out, err
}

// Adopt implements rest.VMs.
func (h hostDesk) Adopt(ctx context.Context, in api.VMAdopt) (*inventory.Machine, error) {
	return h.d.fleet.Adopt(ctx, in.Host, in.Which, in.Name)
}
