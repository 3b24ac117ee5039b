// Package rest serves the API with huma on net/http's mux, behind the token check. One
// file maps the inventory's error classes to status codes.
package rest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/auth"
	"ingot/inventory/lifecycle"
	"ingot/inventory/rollout"
)

// Logs reads what machines printed.
type Logs interface {
	Read(ctx context.Context, machine string, follow bool, w io.Writer) error
}

// Server holds what the handlers work with.
type Server struct {
	Store     inventory.Store
	Lifecycle *lifecycle.Lifecycle
	Tokens    *auth.Tokens
	Images    Images
	Rollouts  *rollout.Runner
	Schedules Schedules
	BootSets  BootSets
	Hosts     Hosts
	Logs      Logs
	Version   api.Version
	// DHCPNow is the mode that a network has now.
	DHCPNow func(inventory.Network) inventory.DHCPMode
	// NetworksChanged is called after a network was put.
	NetworksChanged func(context.Context) error
	Now             func() time.Time
	Log             *slog.Logger
}

// Handler returns the API below /api/v1.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	cfg := huma.DefaultConfig("Ingot", "1")
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "/api/v1/openapi", "", "/api/v1/schemas"
	cfg.CreateHooks = nil // no $schema links in documents: they are the inventory's own
	cfg.FieldsOptionalByDefault = true
	h := humago.New(mux, cfg)
	s.machines(h)
	s.catalog(h)
	s.hosts(h)
	s.vms(h)
	s.rollouts(h)
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.HandleFunc("GET /api/v1/machines/{name}/log", s.machineLog)
	mux.HandleFunc("POST /api/v1/hosts/{name}/selftest", s.testHost)
	mux.HandleFunc("POST /api/v1/vms/{name}/console", s.console)
	s.images(h, mux)
	s.bootSets(h, mux)
	return s.Tokens.Guard(mux, s.noToken)
}

type body[T any] struct{ Body T }

type named struct {
	Name string `path:"name"`
}

func get[I, O any](h huma.API, path, id string, f func(context.Context, *I) (O, error)) {
	huma.Register(h, huma.Operation{OperationID: id, Method: http.MethodGet, Path: "/api/v1" + path}, wrap(f))
}

func wrap[I, O any](f func(context.Context, *I) (O, error)) func(context.Context, *I) (*body[O], error) {
	return func(ctx context.Context, in *I) (*body[O], error) {
		out, err := f(ctx, in)
		if err != nil {
			return nil, status(err)
		}
		return &body[O]{out}, nil
	}
}
