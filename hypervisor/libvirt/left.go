package libvirt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ingot/inventory"
)

// patience is how long a call may go on after the one who made it has left until it is
// asked whether the connection is of use.
const patience = 10 * time.Second

// spawn runs f beside, unless the link is closed.
func (l *link) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.calls.Go(f)
	}
	return !l.closed
}

// leave lets a call go on without its caller. While the daemon answers others, this one
// only takes long; once it does not, the connection is dropped, and all calls on it end.
func (l *link) leave(s *session, done chan struct{}, changes bool) {
	if changes {
		l.mu.Lock()
		l.left[done] = true
		l.mu.Unlock()
	}
	l.spawn(func() {
		for !within(done, l.patience) {
			if !within(l.ping(s), l.patience) {
				s.close()
			}
		}
		l.mu.Lock()
		delete(l.left, done)
		l.mu.Unlock()
	})
}

// within waits for the end of something, for a while.
func within(done <-chan struct{}, t time.Duration) bool {
	limit := time.NewTimer(t)
	defer limit.Stop()
	select {
	case <-done:
		return true
	case <-limit.C:
		return false
	}
}

// ping asks the daemon for what it answers at once, whatever else it does. The channel is
// closed when it has, or the connection has ended.
func (l *link) ping(s *session) <-chan struct{} {
	answered := make(chan struct{})
	if !l.spawn(func() {
		defer close(answered)
		s.rpc.ConnectGetLibVersion()
	}) {
		close(answered)
	}
	return answered
}

// settle waits until the changes that were left are over, so that what is looked at next
// does not change by an older call.
func (l *link) settle(ctx context.Context) error {
	l.mu.Lock()
	var waits []chan struct{}
	for done := range l.left {
		waits = append(waits, done)
	}
	l.mu.Unlock()
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("libvirt: an earlier call has not ended: %w", errors.Join(ctx.Err(), inventory.ErrBusy))
		}
	}
	return nil
}
