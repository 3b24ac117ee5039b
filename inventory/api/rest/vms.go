package rest

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ingot/inventory"
	"ingot/inventory/api"
)

// VMs is what can be done with a machine at its host.
type VMs interface {
	Power(ctx context.Context, m *inventory.Machine, p api.VMPower) error
	// State asks the host.
	State(ctx context.Context, m *inventory.Machine) (api.VMState, error)
	Resize(ctx context.Context, m *inventory.Machine, to api.VMResize) error
	Snapshots(ctx context.Context, m *inventory.Machine) ([]api.VMSnapshot, error)
	Snapshot(ctx context.Context, m *inventory.Machine, name string) error
	Revert(ctx context.Context, m *inventory.Machine, name string) error
	DeleteSnapshot(ctx context.Context, m *inventory.Machine, name string) error
	Drift(ctx context.Context, m *inventory.Machine) ([]api.VMDifference, error)
	// Console joins a machine's serial port until either side ends; joined is called once
	// the port is there.
	Console(ctx context.Context, m *inventory.Machine, force bool, joined func() (io.ReadWriter, error)) error
	// Foreign lists machines of nobody at a host; Adopt takes one in.
	Foreign(ctx context.Context, host string) ([]api.ForeignVM, error)
	Adopt(ctx context.Context, in api.VMAdopt) (*inventory.Machine, error)
}

type powerInput struct {
	Name string `path:"name"`
	Body api.VMPower
}

type resizeInput struct {
	Name string `path:"name"`
	Body api.VMResize
}

type snapshotInput struct {
	Name     string `path:"name"`
	Snapshot string `path:"snapshot"`
}

type adoptInput struct{ Body api.VMAdopt }

func (s *Server) vms(h huma.API) {
	post := func(path, id string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodPost, Path: "/api/v1/vms" + path}
	}
	huma.Register(h, post("/{name}/power", "power-vm"), nothing(func(ctx context.Context, in *powerInput) error {
		return s.changeVM(ctx, in.Name, func(m *inventory.Machine) error { return s.Hosts.Power(ctx, m, in.Body) })
	}))
	huma.Register(h, post("/{name}/resize", "resize-vm"), nothing(func(ctx context.Context, in *resizeInput) error {
		return s.changeVM(ctx, in.Name, func(m *inventory.Machine) error { return s.Hosts.Resize(ctx, m, in.Body) })
	}))
	huma.Register(h, post("/adopt", "adopt-vm"), wrap(func(ctx context.Context, in *adoptInput) (*inventory.Machine, error) {
		return s.Hosts.Adopt(ctx, in.Body)
	}))
	get(h, "/vms/{name}/drift", "drift-of-vm", func(ctx context.Context, in *named) (all []api.VMDifference, err error) {
		return all, s.ofVM(ctx, in.Name, func(m *inventory.Machine) error { all, err = s.Hosts.Drift(ctx, m); return err })
	})
	get(h, "/vms/{name}/state", "state-of-vm", func(ctx context.Context, in *named) (state api.VMState, err error) {
		return state, s.ofVM(ctx, in.Name, func(m *inventory.Machine) error { state, err = s.Hosts.State(ctx, m); return err })
	})
	s.snapshots(h)
}

func (s *Server) snapshots(h huma.API) {
	const path = "/api/v1/vms/{name}/snapshots/{snapshot}"
	get(h, "/vms/{name}/snapshots", "list-snapshots", func(ctx context.Context, in *named) (all []api.VMSnapshot, err error) {
		return all, s.ofVM(ctx, in.Name, func(m *inventory.Machine) error { all, err = s.Hosts.Snapshots(ctx, m); return err })
	})
	for _, op := range []struct {
		huma.Operation
		do func(context.Context, *inventory.Machine, string) error
	}{
		{huma.Operation{OperationID: "snapshot-vm", Method: http.MethodPut, Path: path}, s.Hosts.Snapshot},
		{huma.Operation{OperationID: "revert-vm", Method: http.MethodPost, Path: path + "/revert"}, s.Hosts.Revert},
		{huma.Operation{OperationID: "delete-snapshot", Method: http.MethodDelete, Path: path}, s.Hosts.DeleteSnapshot},
	} {
		huma.Register(h, op.Operation, nothing(func(ctx context.Context, in *snapshotInput) error {
			return s.changeVM(ctx, in.Name, func(m *inventory.Machine) error { return op.do(ctx, m, in.Snapshot) })
		}))
	}
}

// ofVM calls f with a machine that is a VM.
func (s *Server) ofVM(ctx context.Context, name string, f func(*inventory.Machine) error) error {
	var m *inventory.Machine
	err := s.Store.View(ctx, func(x inventory.Tx) (err error) {
		m, err = x.Machine(ctx, name)
		return err
	})
	if err != nil {
		return err
	}
	if m.Spec.VM == nil {
		return fmt.Errorf("machine %s is not a VM: %w", m.Name, inventory.ErrUnsupported)
	}
	return f(m)
}

// changeVM does so unless the machine is locked.
func (s *Server) changeVM(ctx context.Context, name string, f func(*inventory.Machine) error) error {
	return s.ofVM(ctx, name, func(m *inventory.Machine) error {
		if m.Status.Locked {
			return fmt.Errorf("machine %s is locked (ingot machine unlock %s): %w", m.Name, m.Name, inventory.ErrBusy)
		}
		return f(m)
	})
}
