package libvirt

import (
	"context"
	"sync"
)

// holds lets one call at a time work on what has a name.
type holds struct {
	mu    *sync.Mutex
	names map[string]*hold
}

// hold is one name's turn, and how many want it.
type hold struct {
	turn  chan struct{}
	users int
}

func newHolds() holds { return holds{mu: new(sync.Mutex), names: map[string]*hold{}} }

// take waits for the name's turn.
func (h holds) take(ctx context.Context, name string) (release func(), err error) {
	h.mu.Lock()
	one := h.names[name]
	if one == nil {
		one = &hold{turn: make(chan struct{}, 1)}
		h.names[name] = one
	}
	one.users++
	h.mu.Unlock()
	select {
	case one.turn <- struct{}{}:
		release = func() { <-one.turn; h.drop(name) }
	case <-ctx.Done():
		h.drop(name)
		return nil, ctx.Err()
	}
	// With both at once, select takes either.
	if err := ctx.Err(); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (h holds) drop(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.names[name].users--; h.names[name].users == 0 {
		delete(h.names, name)
	}
}
