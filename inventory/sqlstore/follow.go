package sqlstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"ingot/inventory"
)

// pollEvery bounds how late a follower sees what another process committed (on
// PostgreSQL); what this process commits wakes it at once.
const pollEvery = time.Second

// followBatch is how many events one read takes.
const followBatch = 500

// errClosed ends followers when the store closes.
var errClosed = errors.New("store is closed")

// feed tells followers that events were committed.
type feed struct {
	mu     sync.Mutex
	wake   chan struct{}
	closed chan struct{}
}

func (f *feed) init() {
	f.wake, f.closed = make(chan struct{}), make(chan struct{})
}

func (f *feed) changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.wake)
	f.wake = make(chan struct{})
}

func (f *feed) wait() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wake
}

func (f *feed) close() {
	if f.closed == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.closed:
	default:
		close(f.closed)
	}
}

// Follow implements inventory.Store.
func (s *Store) Follow(ctx context.Context, after int64, f func(inventory.Event) error) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		wake := s.feed.wait()
		events, err := s.eventsAfter(ctx, after)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := f(e); err != nil {
				return err
			}
			after = e.Seq
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.feed.closed:
			return errClosed
		case <-wake:
		case <-poll.C:
		}
	}
}

func (s *Store) eventsAfter(ctx context.Context, after int64) ([]inventory.Event, error) {
	var events []inventory.Event
	err := s.View(ctx, func(t inventory.Tx) error {
		var err error
		events, err = docs[inventory.Event](ctx, t.(*tx), `SELECT doc FROM events WHERE seq > ? ORDER BY seq LIMIT ?`, after, followBatch)
		return err
	})
	return events, err
}
