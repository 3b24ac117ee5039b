package sim

import "sync"

// breaker makes one call fail.
type breaker struct {
	mu    sync.Mutex
	armed bool
	left  int
	after bool
	hit   bool
}

// Fail makes the n-th changing call from now on fail, once: with after, the call is carried
// out and only its answer is lost. The function it returns tells whether that came to
// pass, and ends it.
func (s *Server) Fail(n int, after bool) (failed func() bool) {
	b := &s.breaks
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed, b.left, b.after, b.hit = true, n, after, false
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.armed = false
		return b.hit
	}
}

// next tells whether a call is to fail, before or after it is carried out.
func (b *breaker) next(c Call) (before, after bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.armed || !c.Changes() {
		return false, false
	}
	b.left--
	if b.left != 0 {
		return false, false
	}
	b.hit = true
	return !b.after, b.after
}
