package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ingot/inventory"
	"ingot/inventory/api"
)

// Images does the work on images. The first five take long and tell of their progress.
type Images interface {
	Import(ctx context.Context, in api.ImageImport, progress func(api.WorkLine)) (inventory.Image, error)
	Build(ctx context.Context, in api.ImageBuild, progress func(api.WorkLine)) (inventory.Image, error)
	Test(ctx context.Context, in api.ImageTest, progress func(api.WorkLine)) (inventory.Image, error)
	Export(ctx context.Context, in api.ImageExport, progress func(api.WorkLine)) (inventory.Image, error)
	Refresh(ctx context.Context, in api.ImageRefresh, progress func(api.WorkLine)) ([]api.ImageShared, error)

	Promote(ctx context.Context, in api.ImagePromote) (inventory.Image, error)
	Rollback(ctx context.Context, in api.ImageRollback) (inventory.Image, error)
	Sign(ctx context.Context, in api.ImageRefs) (inventory.Image, error)
	Verify(ctx context.Context, in api.ImageRefs) ([]api.ImageSigned, error)
	Diff(ctx context.Context, in api.ImageRefs) (api.ImageDiff, error)
	Lint(ctx context.Context, in api.ImageRefs) ([]api.LintFinding, error)
	History(ctx context.Context, name string) (api.ImageHistory, error)
	Collect(ctx context.Context, in api.ImageCollect) ([]api.ImageDecision, error)
}

// Schedules are what is done again and again.
type Schedules interface {
	List(ctx context.Context) ([]api.ScheduleRow, error)
	Now(ctx context.Context, name string) error
}

func (s *Server) images(h huma.API, mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/images/import", func(w http.ResponseWriter, r *http.Request) { work(s, w, r, s.Images.Import) })
	mux.HandleFunc("POST /api/v1/images/build", func(w http.ResponseWriter, r *http.Request) { work(s, w, r, s.Images.Build) })
	mux.HandleFunc("POST /api/v1/images/test", func(w http.ResponseWriter, r *http.Request) { work(s, w, r, s.Images.Test) })
	mux.HandleFunc("POST /api/v1/images/export", func(w http.ResponseWriter, r *http.Request) { work(s, w, r, s.Images.Export) })
	mux.HandleFunc("POST /api/v1/images/refresh", func(w http.ResponseWriter, r *http.Request) {
		workOn(s, w, r, s.Images.Refresh, func(shared []api.ImageShared) api.WorkLine { return api.WorkLine{Shared: shared} })
	})
	post(h, s, "/images/promote", "promote-image", Images.Promote)
	post(h, s, "/images/rollback", "rollback-image", Images.Rollback)
	post(h, s, "/images/sign", "sign-image", Images.Sign)
	post(h, s, "/images/verify", "verify-image", Images.Verify)
	post(h, s, "/images/diff", "diff-images", Images.Diff)
	post(h, s, "/images/lint", "lint-image", Images.Lint)
	post(h, s, "/images/gc", "collect-images", Images.Collect)
	get(h, "/images/{name}/history", "image-history", func(ctx context.Context, in *named) (api.ImageHistory, error) { return s.Images.History(ctx, in.Name) })
	get(h, "/schedules", "list-schedules", func(ctx context.Context, _ *struct{}) ([]api.ScheduleRow, error) { return s.Schedules.List(ctx) })
	huma.Register(h, huma.Operation{OperationID: "run-schedule", Method: http.MethodPost, Path: "/api/v1/schedules/{name}/run"},
		nothing(func(ctx context.Context, in *named) error { return s.Schedules.Now(ctx, in.Name) }))
	mux.HandleFunc("GET /api/v1/schedules/{name}/log", s.scheduleLog)
}

// post registers a method of the server's Images.
func post[I, O any](h huma.API, s *Server, path, id string, f func(Images, context.Context, I) (O, error)) {
	huma.Register(h, huma.Operation{OperationID: id, Method: http.MethodPost, Path: "/api/v1" + path},
		wrap(func(ctx context.Context, in *body[I]) (O, error) { return f(s.Images, ctx, in.Body) }))
}

// scheduleLog is the log of the run under way, or of the last one.
func (s *Server) scheduleLog(w http.ResponseWriter, r *http.Request) {
	rows, err := s.Schedules.List(r.Context())
	if err != nil {
		s.refuse(w, err)
		return
	}
	name := r.PathValue("name")
	for _, row := range rows {
		if row.Name != name {
			continue
		}
		if row.Log == "" {
			s.refuse(w, inventory.Conflict("schedule %s has not run yet, and is due at %s (ingot image schedule run %s)", name, row.Due.Local().Format(time.DateTime), name))
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := s.Logs.Read(r.Context(), row.Log, false, w); err != nil {
			s.Log.Warn("read log of schedule", "schedule", name, "err", err)
		}
		return
	}
	s.refuse(w, inventory.NotFound("schedule", name))
}
