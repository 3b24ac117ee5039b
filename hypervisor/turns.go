package hypervisor

import (
	"context"
	"sync"
)

// Turns lets one call of a driver at a time work on what has a name: a machine, an image.
// The zero value is ready for use.
type Turns struct {
	mu    sync.Mutex
	names map[string]*turn
}

// turn is one name's, and how many want it.
type turn struct {
	held  chan struct{}
	users int
}

// Take waits for the name's turn; release ends it. The error is the context's.
func (t *Turns) Take(ctx context.Context, name string) (release func(), err error) {
	one := t.want(name)
	select {
	case one.held <- struct{}{}:
		release = func() { <-one.held; t.drop(name) }
	case <-ctx.Done():
		t.drop(name)
		return nil, ctx.Err()
	}
	// With both at once, select takes either.
	if err := ctx.Err(); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

func (t *Turns) want(name string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names = map[string]*turn{}
	}
	one := t.names[name]
	if one == nil {
		one = &turn{held: make(chan struct{}, 1)}
		t.names[name] = one
	}
	one.users++
	return one
}

func (t *Turns) drop(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names[name].users--; t.names[name].users == 0 {
		delete(t.names, name)
	}
}
