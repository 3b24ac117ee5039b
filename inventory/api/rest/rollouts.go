package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/rollout"
)

func (s *Server) rollouts(h huma.API) {
	get(h, "/rollouts", "list-rollouts", s.listRollouts)
	get(h, "/rollouts/{name}", "get-rollout", func(ctx context.Context, in *named) (r inventory.Rollout, err error) {
		err = s.Store.View(ctx, func(x inventory.Tx) error {
			r, err = x.Rollout(ctx, in.Name)
			return err
		})
		return r, err
	})
	huma.Register(h, huma.Operation{OperationID: "start-rollout", Method: http.MethodPost, Path: "/api/v1/rollouts"}, wrap(s.startRollout))
	huma.Register(h, huma.Operation{OperationID: "stop-rollout", Method: http.MethodPost, Path: "/api/v1/rollouts/{name}/stop"},
		wrap(func(ctx context.Context, in *named) (inventory.Rollout, error) {
			return s.Rollouts.Stop(ctx, in.Name, "admin")
		}))
}

func (s *Server) listRollouts(ctx context.Context, _ *struct{}) (rs []inventory.Rollout, err error) {
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		rs, err = x.Rollouts(ctx)
		return err
	})
	if rs == nil {
		rs = []inventory.Rollout{}
	}
	return rs, err
}

func (s *Server) startRollout(ctx context.Context, in *body[api.RolloutOrder]) (inventory.Rollout, error) {
	o := rollout.Order{Image: in.Body.Image, Set: in.Body.Set, Batch: in.Body.Batch, Pause: in.Body.Pause, MaxFailures: in.Body.MaxFailures, By: "admin"}
	if in.Body.Plan {
		return s.Rollouts.Plan(ctx, o)
	}
	return s.Rollouts.Start(ctx, o)
}
