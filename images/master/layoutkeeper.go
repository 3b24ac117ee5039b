package master

import (
	"context"
	"sync"
)

// layoutKeeper asks a source for its layout when there is none, or when the one that is
// there is an old one.
type layoutKeeper struct {
	m   *Manifest
	src Source

	turn chan struct{} // held while the source is asked

	mu      sync.Mutex
	current *Layout
}

func newLayoutKeeper(m *Manifest, src Source) *layoutKeeper {
	return &layoutKeeper{m: m, src: src, turn: make(chan struct{}, 1)}
}

func (k *layoutKeeper) get(ctx context.Context) (*Layout, error) {
	if l := k.known(); l != nil {
		return l, nil
	}
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-k.turn }()
	if l := k.known(); l != nil {
		return l, nil
	}
	l, err := k.src.Layout(ctx, k.m)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current = l
	return l, nil
}

func (k *layoutKeeper) known() *Layout {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

// forget is told of a layout that the source does not have any more.
func (k *layoutKeeper) forget(l *Layout) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == l {
		k.current = nil
	}
}
