package sim

import (
	"context"
	"sync"
)

// Cut is where a script is cut off.
type Cut int

// Before and after a changing cmdlet the script ends; with its answer lost it runs on.
const (
	Before Cut = iota
	After
	Lost
)

// breaker makes things go wrong.
type breaker struct {
	mu    sync.Mutex
	armed bool
	left  int
	cut   Cut
	hit   bool
	down  bool
	stop  *stop
	held  map[string]chan struct{}
	waits map[string]chan struct{}
}

// Fail cuts the n-th changing cmdlet from now on (1 is the next), once. The function it
// returns tells whether that came to pass, and ends it.
func (h *Host) Fail(n int, cut Cut) (failed func() bool) {
	b := &h.faults
	b.mu.Lock()
	defer b.mu.Unlock()
	b.armed, b.left, b.cut, b.hit = true, n, cut, false
	return func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.armed = false
		return b.hit
	}
}

// stop is a place where a script stands still; a stranded one has lost its caller.
type stop struct {
	left          int
	stranded      bool
	arrived, gate chan struct{}
	ended         chan struct{}
}

// Pause makes a script stand still before its n-th changing cmdlet from now on (1 is the
// next), once, until release; arrived is closed when one does.
func (h *Host) Pause(n int) (arrived <-chan struct{}, release func()) {
	s := h.faults.put(n, false)
	return s.arrived, sync.OnceFunc(func() { close(s.gate) })
}

// Strand breaks the connection under a script before its n-th changing cmdlet from now on (1
// is the next), once: its caller gets an error, and the script stands still. goOn lets it go
// on, and waits for its end.
func (h *Host) Strand(n int) (goOn func()) {
	s := h.faults.put(n, true)
	return sync.OnceFunc(func() {
		close(s.gate)
		<-s.ended
	})
}

func (b *breaker) put(n int, stranded bool) *stop {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = &stop{n, stranded, make(chan struct{}), make(chan struct{}), make(chan struct{})}
	return b.stop
}

// here is the stop at the next changing cmdlet, or nil.
func (b *breaker) here() *stop {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stop
	if s == nil {
		return nil
	}
	if s.left--; s.left != 0 {
		return nil
	}
	return s
}

// pause stands still where that was asked for.
func (r *run) pause() {
	s := r.h.faults.here()
	if s == nil {
		return
	}
	if s.stranded {
		// Whoever called may end; the script knows nothing of that.
		r.ctx, r.stop = context.WithoutCancel(r.ctx), s
		close(r.stranded)
	}
	close(s.arrived)
	select {
	case <-s.gate:
	case <-r.ctx.Done():
	}
}

// Down takes the connection away, or gives it back.
func (h *Host) Down(down bool) {
	h.faults.mu.Lock()
	defer h.faults.mu.Unlock()
	h.faults.down = down
}

// Hold keeps a script from starting until release; arrived is closed when one waits.
func (h *Host) Hold(script string) (arrived <-chan struct{}, release func()) {
	b := &h.faults
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil {
		b.held, b.waits = map[string]chan struct{}{}, map[string]chan struct{}{}
	}
	gate, wait := make(chan struct{}), make(chan struct{})
	b.held[script], b.waits[script] = gate, wait
	return wait, sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.held[script] == gate {
			delete(b.held, script)
		}
		close(gate)
	})
}

// enter waits where a script is held, and fails where there is no connection.
func (b *breaker) enter(ctx context.Context, script string) error {
	b.mu.Lock()
	gate := b.held[script]
	if wait := b.waits[script]; gate != nil && wait != nil {
		close(wait)
		delete(b.waits, script)
	}
	b.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down && ctx.Err() == nil {
		return ErrCut
	}
	return ctx.Err()
}

// next tells whether the next changing cmdlet is to be cut.
func (b *breaker) next() (Cut, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.armed {
		return 0, false
	}
	b.left--
	b.hit = b.hit || b.left == 0
	return b.cut, b.left == 0
}
