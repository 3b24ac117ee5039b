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
		return errCut
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
