package rest

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/lifecycle"
	"ingot/inventory/why"
)

func (s *Server) machines(h huma.API) {
	get(h, "/version", "version", func(context.Context, *struct{}) (api.Version, error) { return s.Version, nil })
	get(h, "/machines", "list-machines", s.listMachines)
	get(h, "/machines/{name}", "get-machine", s.getMachine)
	get(h, "/machines/{name}/why", "why-machine", s.why)
	huma.Register(h, huma.Operation{OperationID: "deploy", Method: http.MethodPost, Path: "/api/v1/machines/{name}/deploy"}, wrap(s.deploy))
	for _, a := range []api.Action{api.ActionApprove, api.ActionRelease, api.ActionRetire, api.ActionRevive, api.ActionRescue,
		api.ActionReturn, api.ActionInspect, api.ActionLock, api.ActionUnlock, api.ActionResume} {
		huma.Register(h, huma.Operation{OperationID: string(a), Method: http.MethodPost, Path: "/api/v1/machines/{name}/" + string(a)},
			wrap(func(ctx context.Context, in *named) (*inventory.Machine, error) { return s.act(ctx, in.Name, a) }))
	}
	huma.Register(h, huma.Operation{OperationID: "delete-machine", Method: http.MethodDelete, Path: "/api/v1/machines/{name}"},
		func(ctx context.Context, in *named) (*struct{}, error) {
			if err := s.Lifecycle.Delete(ctx, in.Name); err != nil {
				return nil, status(err)
			}
			return nil, nil
		})
}

func (s *Server) listMachines(ctx context.Context, _ *struct{}) (ms []*inventory.Machine, err error) {
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		ms, err = x.Machines(ctx)
		return err
	})
	if ms == nil {
		ms = []*inventory.Machine{}
	}
	return ms, err
}

func (s *Server) getMachine(ctx context.Context, in *named) (d api.MachineDetail, err error) {
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		m, err := x.Machine(ctx, in.Name)
		if err != nil {
			return err
		}
		d.Machine = *m
		d.Facts, err = x.Facts(ctx, m.ID, 0)
		if errors.Is(err, inventory.ErrNotFound) {
			return nil
		}
		return err
	})
	return d, err
}

type deployInput struct {
	Name string `path:"name"`
	Body api.Deploy
}

func (s *Server) deploy(ctx context.Context, in *deployInput) (*inventory.Machine, error) {
	hint, err := inventory.ParseDiskHint(in.Body.Disk)
	if err != nil {
		return nil, err
	}
	d := in.Body
	return s.Lifecycle.Deploy(ctx, in.Name, lifecycle.DeployOrder{
		Image: d.Image, Hostname: d.Hostname, Disk: hint, Overwrite: d.Overwrite, Verify: d.Verify, SSHKeys: d.SSHKeys,
		UserData: []byte(d.UserData), Addresses: d.Addresses, NetworkFirst: d.NetworkFirst, By: "admin",
	})
}

func (s *Server) act(ctx context.Context, name string, a api.Action) (*inventory.Machine, error) {
	const by = "admin"
	l := s.Lifecycle
	switch a {
	case api.ActionApprove:
		return l.Approve(ctx, name, by)
	case api.ActionRelease:
		return l.Release(ctx, name, by)
	case api.ActionLock, api.ActionUnlock:
		return l.SetLock(ctx, name, a == api.ActionLock)
	case api.ActionResume:
		return l.Resume(ctx, name)
	}
	return l.Trigger(ctx, name, inventory.Trigger(a), by)
}

func (s *Server) why(ctx context.Context, in *named) (a api.Answer, err error) {
	var ev why.Evidence
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		ev, err = why.Gather(ctx, x, in.Name, s.Now())
		return err
	})
	if err != nil {
		return a, err
	}
	ev.Silent = s.Lifecycle.Limits.Silent
	answer := why.Explain(ev)
	return api.Answer{Machine: ev.Machine.Name, Sentences: answer.Sentences, Known: answer.Known, Try: answer.Try}, nil
}
