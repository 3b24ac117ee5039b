package hyperv

import (
	"context"
	"sync"
)

// turns lets one caller at a time work on a key.
type turns struct{ keys sync.Map }

// take waits for the turn; release it when err is nil.
func (t *turns) take(ctx context.Context, key string) (release func(), err error) {
	v, _ := t.keys.LoadOrStore(key, make(chan struct{}, 1))
	turn := v.(chan struct{})
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
