package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/lifecycle"
)

// Hosts is what can be asked of hypervisors.
type Hosts interface {
	// Check looks a host over.
	Check(ctx context.Context, host string) ([]api.Finding, error)
	// Plan tells what making m from an image would do.
	Plan(ctx context.Context, m *inventory.Machine, image inventory.Image) (api.VMPlan, error)
	VMs
	// Test makes and removes a small machine; image may be nil.
	Test(ctx context.Context, host string, image *inventory.Image, tell func(api.TestStep)) error
	// Seal closes a host's secret.
	Seal(host string, secret []byte) ([]byte, error)
}

func (s *Server) hosts(h huma.API) {
	get(h, "/hosts", "list-hosts", s.listHosts)
	get(h, "/hosts/{name}/check", "check-host", func(ctx context.Context, in *named) ([]api.Finding, error) { return s.Hosts.Check(ctx, in.Name) })
	huma.Register(h, huma.Operation{OperationID: "put-host", Method: http.MethodPut, Path: "/api/v1/hosts/{name}"}, nothing(s.putHost))
	huma.Register(h, huma.Operation{OperationID: "delete-host", Method: http.MethodDelete, Path: "/api/v1/hosts/{name}"}, nothing(s.deleteHost))
	get(h, "/hosts/{name}/foreign", "list-foreign-vms", func(ctx context.Context, in *named) ([]api.ForeignVM, error) { return s.Hosts.Foreign(ctx, in.Name) })
	huma.Register(h, huma.Operation{OperationID: "create-vm", Method: http.MethodPost, Path: "/api/v1/vms"}, wrap(s.createVM))
	huma.Register(h, huma.Operation{OperationID: "plan-vm", Method: http.MethodPost, Path: "/api/v1/vms/plan"}, wrap(s.planVM))
	huma.Register(h, huma.Operation{OperationID: "remove-vm", Method: http.MethodDelete, Path: "/api/v1/vms/{name}"},
		wrap(func(ctx context.Context, in *named) (*inventory.Machine, error) {
			return s.Lifecycle.Remove(ctx, in.Name, "admin")
		}))
}

// nothing is a handler whose answer is empty.
func nothing[I any](f func(context.Context, *I) error) func(context.Context, *I) (*struct{}, error) {
	return func(ctx context.Context, in *I) (*struct{}, error) {
		if err := f(ctx, in); err != nil {
			return nil, status(err)
		}
		return nil, nil
	}
}

func (s *Server) listHosts(ctx context.Context, _ *struct{}) ([]api.HostRow, error) {
	rows := []api.HostRow{}
	err := s.Store.View(ctx, func(x inventory.Tx) error {
		hosts, err := x.Hosts(ctx)
		if err != nil {
			return err
		}
		machines, err := x.Machines(ctx)
		for _, h := range hosts {
			rows = append(rows, api.HostRow{Host: h, Kind: string(h.Kind()), VMs: len(onHost(machines, h.Name))})
		}
		return err
	})
	return rows, err
}

func onHost(machines []*inventory.Machine, host string) (names []string) {
	for _, m := range machines {
		if m.Spec.VM != nil && m.Spec.VM.Host == host {
			names = append(names, m.Name)
		}
	}
	return names
}

type hostInput struct {
	Name string `path:"name"`
	Body api.HostAdd
}

func (s *Server) putHost(ctx context.Context, in *hostInput) error {
	h := in.Body.Host
	if h.Name != in.Name {
		return inventory.Invalid("host %q at the address of %q", h.Name, in.Name)
	}
	sealed, err := s.Hosts.Seal(h.Name, []byte(in.Body.Secret))
	if err != nil {
		return err
	}
	return s.Store.Update(ctx, func(x inventory.Tx) error {
		old, err := x.Host(ctx, h.Name)
		switch {
		case errors.Is(err, inventory.ErrNotFound):
			h.Created = s.Now()
		case err != nil:
			return err
		default:
			h.Created = old.Created
		}
		if in.Body.Secret != "" {
			if err := x.PutHost(ctx, h); err != nil {
				return err
			}
			return x.PutHostSecret(ctx, h.Name, sealed)
		}
		if had, err := x.HostSecret(ctx, h.Name); err == nil && len(had) > 0 && old.URL != h.URL {
			return inventory.Invalid("host %s: another URL needs the secret again, which is not told to other servers", h.Name)
		}
		return x.PutHost(ctx, h)
	})
}

// deleteHost refuses while the inventory has machines there: they would be forgotten,
// and run on.
func (s *Server) deleteHost(ctx context.Context, in *named) error {
	return s.Store.Update(ctx, func(x inventory.Tx) error {
		machines, err := x.Machines(ctx)
		if err != nil {
			return err
		}
		if there := onHost(machines, in.Name); len(there) > 0 {
			return fmt.Errorf("host %s has VMs, which ingot vm delete takes away: %s: %w", in.Name, strings.Join(there, " "), inventory.ErrBusy)
		}
		return x.DeleteHost(ctx, in.Name)
	})
}

type vmInput struct{ Body api.VMCreate }

func (s *Server) createVM(ctx context.Context, in *vmInput) (*inventory.Machine, error) {
	v := in.Body
	m := inventory.NewVM(v.Name, v.Spec, s.Now())
	return m, s.Lifecycle.Create(ctx, m, lifecycle.DeployOrder{Image: v.Image, Hostname: v.Hostname, SSHKeys: v.SSHKeys, UserData: []byte(v.UserData), By: "admin"})
}

func (s *Server) planVM(ctx context.Context, in *vmInput) (p api.VMPlan, err error) {
	v := in.Body
	m := inventory.NewVM(v.Name, v.Spec, s.Now())
	if err := errors.Join(inventory.CheckName(m.Name), m.Spec.VM.Check()); err != nil {
		return p, err
	}
	var image inventory.Image
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		image, err = lifecycle.ResolveImage(ctx, x, v.Image)
		return err
	})
	if err != nil {
		return p, err
	}
	return s.Hosts.Plan(ctx, m, image)
}
