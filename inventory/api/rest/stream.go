package rest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/inventory/lifecycle"
)

// lines writes JSON lines and flushes each.
type lines struct {
	mu   sync.Mutex
	w    http.ResponseWriter
	ctrl *http.ResponseController
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	l := &lines{w: w, ctrl: http.NewResponseController(w)}
	_ = l.ctrl.Flush() // the next write tells
	return l
}

func (l *lines) put(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := json.NewEncoder(l.w).Encode(v); err != nil {
		return err
	}
	return l.ctrl.Flush()
}

func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, _ := strconv.ParseInt(q.Get("after"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	follow, _ := strconv.ParseBool(q.Get("follow"))
	machine := q.Get("machine")
	var past []inventory.Event
	err := s.Store.View(r.Context(), func(x inventory.Tx) error {
		if machine != "" {
			m, err := x.Machine(r.Context(), machine)
			if err != nil {
				return err
			}
			machine = m.ID
		}
		var err error
		past, err = x.Events(r.Context(), inventory.EventQuery{Machine: machine, After: after, Limit: limit})
		return err
	})
	if err != nil {
		s.refuse(w, err)
		return
	}
	out := newLines(w)
	for _, e := range past {
		if out.put(e) != nil {
			return
		}
		after = e.Seq
	}
	if !follow {
		return
	}
	_ = s.Store.Follow(r.Context(), after, func(e inventory.Event) error { // ends with the request
		if machine != "" && e.Machine != machine {
			return nil
		}
		return out.put(e)
	})
}

// flushing sends each write at once: a log that is followed.
type flushing struct {
	w    io.Writer
	ctrl *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.ctrl.Flush()
	}
	return n, err
}

func (s *Server) machineLog(w http.ResponseWriter, r *http.Request) {
	var m *inventory.Machine
	err := s.Store.View(r.Context(), func(x inventory.Tx) error {
		var err error
		m, err = x.Machine(r.Context(), r.PathValue("name"))
		return err
	})
	if err != nil {
		s.refuse(w, err)
		return
	}
	follow, _ := strconv.ParseBool(r.URL.Query().Get("follow"))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := s.Logs.Read(r.Context(), m.ID, follow, flushing{w, http.NewResponseController(w)}); err != nil {
		s.Log.Warn("read machine log", "machine", m.Name, "err", err)
	}
}

// maxRecipeBytes bounds the body of image work: a recipe with the files beside it.
const maxRecipeBytes = 16 << 20

// work runs long work on an image.
func work[I any](s *Server, w http.ResponseWriter, r *http.Request, f func(context.Context, I, func(api.WorkLine)) (inventory.Image, error)) {
	workOn(s, w, r, f, func(i inventory.Image) api.WorkLine { return api.WorkLine{Image: &i} })
}

// workOn runs long work and streams its progress; the last line is its result or the error.
func workOn[I, O any](s *Server, w http.ResponseWriter, r *http.Request, f func(context.Context, I, func(api.WorkLine)) (O, error), last func(O) api.WorkLine) {
	in, ok := request[I](s, w, r)
	if !ok {
		return
	}
	out := newLines(w)
	result, err := f(r.Context(), in, func(l api.WorkLine) { _ = out.put(l) }) // a gone reader ends the context
	if err != nil {
		_ = out.put(api.WorkLine{Error: err.Error()})
		return
	}
	_ = out.put(last(result))
}

// request reads a body; one that can't be read is refused.
func request[I any](s *Server, w http.ResponseWriter, r *http.Request) (in I, ok bool) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRecipeBytes))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		s.refuse(w, inventory.Invalid("request: %v", err))
		return in, false
	}
	return in, true
}

// testHost streams the steps of a host's self-test. What keeps it from beginning is an
// answer that says no.
func (s *Server) testHost(w http.ResponseWriter, r *http.Request) {
	in, ok := request[api.HostTest](s, w, r)
	if !ok {
		return
	}
	image, err := s.imageOf(r.Context(), in.Image)
	if err != nil {
		s.refuse(w, err)
		return
	}
	var out *lines
	err = s.Hosts.Test(r.Context(), r.PathValue("name"), image, func(step api.TestStep) {
		if out == nil {
			out = newLines(w)
		}
		_ = out.put(step) // a gone reader ends the context
	})
	switch {
	case err != nil && out == nil:
		s.refuse(w, err)
	case err != nil:
		_ = out.put(api.TestStep{Error: err.Error()})
	}
}

// imageOf resolves a reference; nil for none.
func (s *Server) imageOf(ctx context.Context, ref string) (image *inventory.Image, err error) {
	if ref == "" {
		return nil, nil
	}
	err = s.Store.View(ctx, func(x inventory.Tx) error {
		i, err := lifecycle.ResolveImage(ctx, x, ref)
		image = &i
		return err
	})
	return image, err
}
