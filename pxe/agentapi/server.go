package agentapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"ingot/inventory"
)

// PollTimeout is how long a poll for an order is held open.
const PollTimeout = 25 * time.Second

// BeatEvery is how often agents are asked for a sign of life; SilentAfter is when one
// counts as gone.
const (
	BeatEvery   = 3 * time.Second
	SilentAfter = 15 * time.Second
)

// Ask is an agent's question for work.
type Ask struct {
	Session inventory.Session
	// Done is the generation that the agent reported last, 0 for none.
	Done int64
	// Local is the server's address that the agent talks to.
	Local netip.Addr
}

// Orders decides what an agent is to do next.
type Orders interface {
	// Pending tells from the machine alone whether there is anything to do: most polls
	// end here, without a write.
	Pending(m *inventory.Machine, a Ask) bool
	// Order makes the order in a transaction that stores m after it. Secrets are only
	// for a session that may have them; ErrDenied refuses.
	Order(ctx context.Context, x inventory.Tx, m *inventory.Machine, a Ask) (Order, error)
}

// Logs keeps what agents print.
type Logs interface {
	Append(machine string, text []byte) error
}

// Server holds the handlers.
type Server struct {
	Store  inventory.Store
	Orders Orders
	Logs   Logs
	// Now is the clock.
	Now func() time.Time
	Log *slog.Logger
	// NetconsolePort is told to agents, 0 for none.
	NetconsolePort int
	// Saw is told of every hello, for the boot attempt it ends. May be nil.
	Saw func(inventory.Sighting)
	// Wake is called when something came that lifecycle may act on. May be nil.
	Wake func()
}

// Handler returns the API's routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathHello, s.hello)
	mux.HandleFunc("POST "+PathFacts, s.session(s.facts))
	mux.HandleFunc("GET "+PathOrder, s.session(s.order))
	mux.HandleFunc("POST "+PathBeat, s.session(s.beat))
	mux.HandleFunc("POST "+PathReport, s.session(s.report))
	mux.HandleFunc("POST "+PathLog, s.session(s.appendLog))
	return mux
}

// caller is the session that a request belongs to.
type caller struct {
	inventory.Session
	local netip.Addr
}

func (s *Server) session(next func(http.ResponseWriter, *http.Request, caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			fail(w, http.StatusUnauthorized, "no session token", false)
			return
		}
		var sess inventory.Session
		err := s.Store.View(r.Context(), func(x inventory.Tx) error {
			var err error
			sess, err = x.Session(r.Context(), HashToken(token))
			return err
		})
		if err != nil {
			s.refuse(w, err, http.StatusUnauthorized)
			return
		}
		next(w, r, caller{Session: sess, local: LocalAddr(r)})
	}
}

func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// LocalAddr is the server's address that a request came to.
func LocalAddr(r *http.Request) netip.Addr {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

func (s *Server) logger() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// refuse answers an error: what the caller did wrong in words, all else as a number in
// the log. notFound is the status for ErrNotFound.
func (s *Server) refuse(w http.ResponseWriter, err error, notFound int) {
	switch {
	case errors.Is(err, ErrSession):
		fail(w, http.StatusUnauthorized, err.Error(), false)
	case errors.Is(err, inventory.ErrNotFound):
		fail(w, notFound, err.Error(), false)
	case errors.Is(err, inventory.ErrConflict), errors.Is(err, inventory.ErrBusy):
		fail(w, http.StatusConflict, err.Error(), false)
	case errors.Is(err, inventory.ErrDenied):
		fail(w, http.StatusForbidden, err.Error(), false)
	case errors.Is(err, inventory.ErrInvalid):
		fail(w, http.StatusBadRequest, err.Error(), true)
	default:
		s.logger().Error("agent request", "err", err)
		fail(w, http.StatusInternalServerError, "server error; see its log", false)
	}
}

func fail(w http.ResponseWriter, status int, reason string, final bool) {
	answer(w, status, Problem{Error: reason, Final: final})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the peer is gone: nobody to tell
}

func readJSON(r *http.Request, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBodyBytes))
	if err != nil {
		return fmt.Errorf("read request: %w: %w", err, inventory.ErrInvalid)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read request: %w: %w", err, inventory.ErrInvalid)
	}
	return nil
}
