package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"ingot/inventory"
	"ingot/inventory/api"
)

// BootSets are the sets of boot files. Build and test take long and tell of their progress.
type BootSets interface {
	BootSets(ctx context.Context) ([]inventory.BootSet, error)
	BuildBootSet(ctx context.Context, in api.BootSetBuild, progress func(api.WorkLine)) (inventory.BootSet, error)
	TestBootSet(ctx context.Context, in api.BootSetTest, progress func(api.WorkLine)) (inventory.BootSet, error)
	RollbackBootSet(ctx context.Context, in api.BootSetRollback) (inventory.BootSet, error)
}

func (s *Server) bootSets(h huma.API, mux *http.ServeMux) {
	get(h, "/bootsets", "list-boot-sets", func(ctx context.Context, _ *struct{}) ([]inventory.BootSet, error) { return s.BootSets.BootSets(ctx) })
	huma.Register(h, huma.Operation{OperationID: "rollback-boot-set", Method: http.MethodPost, Path: "/api/v1/bootsets/rollback"},
		wrap(func(ctx context.Context, in *body[api.BootSetRollback]) (inventory.BootSet, error) {
			return s.BootSets.RollbackBootSet(ctx, in.Body)
		}))
	mux.HandleFunc("POST /api/v1/bootsets/build", func(w http.ResponseWriter, r *http.Request) {
		workOn(s, w, r, s.BootSets.BuildBootSet, lastBootSet)
	})
	mux.HandleFunc("POST /api/v1/bootsets/test", func(w http.ResponseWriter, r *http.Request) {
		workOn(s, w, r, s.BootSets.TestBootSet, lastBootSet)
	})
}

func lastBootSet(s inventory.BootSet) api.WorkLine { return api.WorkLine{BootSet: &s} }
