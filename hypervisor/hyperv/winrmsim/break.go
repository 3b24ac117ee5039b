package winrmsim

import (
	"context"
	"net/http"
	"sync"
)

// Mishap is what happens to a request that is made to fail.
type Mishap struct {
	// Hold, when not nil, keeps the request from being looked at until it is closed, or
	// its client has gone.
	Hold <-chan struct{}
	// Fault or Status (a bare HTTP one) answer it; it is not carried out.
	Fault  *Fault
	Status int
	// CutBefore closes the connection before it is carried out, CutAfter after.
	CutBefore, CutAfter bool
}

// breaker makes requests fail.
type breaker struct {
	mu    sync.Mutex
	rules []*rule
}

type rule struct {
	action string
	left   int
	how    Mishap
}

// Fail makes the n-th request from now on (1 is the next) of an action fail, once; the
// action "" is any.
func (s *Server) Fail(action string, n int, how Mishap) {
	s.breaks.mu.Lock()
	defer s.breaks.mu.Unlock()
	s.breaks.rules = append(s.breaks.rules, &rule{action, n, how})
}

// next is what is to happen to a request.
func (b *breaker) next(action string) Mishap {
	b.mu.Lock()
	defer b.mu.Unlock()
	var how Mishap
	for _, r := range b.rules {
		if r.action != "" && r.action != action {
			continue
		}
		r.left--
		if r.left == 0 {
			how = r.how
		}
	}
	return how
}

// before does what is to happen before a request is carried out; true is all of it.
func (f Mishap) before(ctx context.Context, w http.ResponseWriter, r *request) bool {
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-ctx.Done():
			return true
		}
	}
	switch {
	case f.CutBefore:
		panic(http.ErrAbortHandler)
	case f.Fault != nil:
		answer(w, r, nil, f.Fault)
	case f.Status != 0:
		w.WriteHeader(f.Status)
	default:
		return false
	}
	return true
}

func (f Mishap) after() {
	if f.CutAfter {
		panic(http.ErrAbortHandler)
	}
}
