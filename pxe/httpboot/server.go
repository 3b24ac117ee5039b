package httpboot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config is what a Server works with; all of it can be zero.
type Config struct {
	// Log nil means discard.
	Log *slog.Logger
	// MaxConns bounds connections in all, MaxConnsEach those of one client; 0 means
	// 4096 and 128.
	MaxConns, MaxConnsEach int
	// HeaderTime is how long a request's header may take, IdleTime how long a
	// connection may wait for the next request; 0 means 10 s and 30 s.
	HeaderTime, IdleTime time.Duration
	// Grace is how long transfers may go on when the server stops; 0 means 10 s.
	Grace time.Duration
}

// Server is the listener machines talk to.
type Server struct {
	cfg    Config
	log    *slog.Logger
	mux    *http.ServeMux
	active atomic.Int64
	bytes  atomic.Int64
}

// New returns a Server that answers 404 to everything.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&cfg.HeaderTime, 10 * time.Second}, {&cfg.IdleTime, 30 * time.Second}, {&cfg.Grace, 10 * time.Second}} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 4096
	}
	if cfg.MaxConnsEach == 0 {
		cfg.MaxConnsEach = 128
	}
	return &Server{cfg: cfg, log: cfg.Log.With("component", "httpboot"), mux: http.NewServeMux()}
}

// Handle mounts a handler (patterns as in http.ServeMux). All of it before Run.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// Active is the number of requests being answered, SentBytes what all responses had so
// far.
func (s *Server) Active() int64    { return s.active.Load() }
func (s *Server) SentBytes() int64 { return s.bytes.Load() }

// ServeHTTP implements http.Handler: what Run serves.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.active.Add(1)
	defer s.active.Add(-1)
	m := newMeter(w)
	m.socket = socketOf(r.Context())
	defer func() {
		if m.corked {
			m.socket.uncork()
		}
		s.bytes.Add(m.bytes)
		m.extend() // for what net/http still flushes
		s.log.Debug("request", "method", r.Method, "path", r.URL.Path, "client", r.RemoteAddr, "status", m.status, "bytes", m.bytes)
	}()
	clean, err := collapse(r)
	if err != nil {
		http.Error(m, "bad path", http.StatusBadRequest)
		return
	}
	if clean.Body != nil && clean.Body != http.NoBody {
		if clean == r {
			clean = r.WithContext(r.Context())
		}
		clean.Body = &patientBody{clean.Body, http.NewResponseController(w)}
	}
	s.mux.ServeHTTP(m, clean)
}

// patientBody gives every read of a request body a deadline of its own.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(stall)) // a test recorder has none
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Run serves on the listeners until ctx ends; then it cancels the contexts of requests
// (which ends long polls), lets transfers finish for the time of grace, cuts off the
// rest and returns nil.
func (s *Server) Run(ctx context.Context, listeners ...net.Listener) error {
	gate := newGate(s.cfg.MaxConns, s.cfg.MaxConnsEach)
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: s.cfg.HeaderTime,
		IdleTimeout:       s.cfg.IdleTime,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withSocket,
		ConnState:         gate.state,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	serving, sctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		serving.Go(func() error {
			if err := srv.Serve(&gatedListener{l, gate}); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	<-sctx.Done()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		s.log.Warn("cut off requests that did not end in time", "active", s.Active())
		if err := srv.Close(); err != nil {
			return errors.Join(serving.Wait(), fmt.Errorf("close HTTP server: %w", err))
		}
	}
	return serving.Wait()
}
