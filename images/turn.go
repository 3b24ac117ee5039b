package images

import (
	"context"
	"sync"
)

// turns lets one caller at a time work on a thing of a name.
type turns struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// enter waits for the turn, or for ctx to end. done ends the turn.
func (t *turns) enter(ctx context.Context, name string) (done func(), err error) {
	for {
		t.mu.Lock()
		other, taken := t.busy[name]
		if !taken {
			if t.busy == nil {
				t.busy = map[string]chan struct{}{}
			}
			mine := make(chan struct{})
			t.busy[name] = mine
			t.mu.Unlock()
			return func() { t.leave(name, mine) }, nil
		}
		t.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *turns) leave(name string, mine chan struct{}) {
	t.mu.Lock()
	delete(t.busy, name)
	t.mu.Unlock()
	close(mine)
}
