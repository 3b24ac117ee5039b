package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/inventory"
)

// patience is how long a call may go on after the one who made it has left until it is
// asked whether the connection is of use.
const patience = 10 * time.Second

var (
	errClosed = errors.New("libvirt: the driver is closed")
	errLost   = errors.New("libvirt: the connection was lost")
)

// link is a connection to libvirtd that is made when it is needed, and made again after it
// was lost. Calls on it end with their context.
type link struct {
	dial dialFunc
	uri  lv.ConnectURI
	// tamper, for tests, stands around each changing call.
	tamper   func(what string, do func() error) error
	patience time.Duration
	// turn is held by the one who connects.
	turn chan struct{}
	// calls are those under way, whoever waits for them.
	calls sync.WaitGroup

	mu      sync.Mutex
	current *session
	closed  bool
	// left are changing calls whose callers have gone.
	left map[chan struct{}]bool
}

func newLink(dial dialFunc, uri lv.ConnectURI) *link {
	return &link{dial: dial, uri: uri, patience: patience, turn: make(chan struct{}, 1), left: map[chan struct{}]bool{}}
}

// session returns the connection, or makes one.
func (l *link) session(ctx context.Context) (*session, error) {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l.mu.Lock()
	s, closed := l.current, l.closed
	l.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil || s != nil && s.alive() {
		return s, err
	}
	if s != nil {
		s.close() // its end was seen; its file and its ssh are still there
	}
	s, err := connect(ctx, l.dial, l.uri)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		s.close()
		return nil, errClosed
	}
	l.current = s
	return s, nil
}

// close ends the connection and waits for the calls on it.
func (l *link) close() {
	l.mu.Lock()
	s := l.current
	l.closed = true
	l.mu.Unlock()
	if s != nil {
		s.close()
	}
	l.calls.Wait()
}

// ask makes a call that changes nothing. One that was cut off by the loss of the
// connection is made once more on a new one.
func ask[T any](ctx context.Context, l *link, what string, f func(*lv.Libvirt) (T, error)) (T, error) {
	value, lost, err := call(ctx, l, what, false, f)
	if lost {
		value, _, err = call(ctx, l, what, false, f)
	}
	return value, err
}

// change makes a call that changes something. One that was cut off may have come to pass.
func change[T any](ctx context.Context, l *link, what string, f func(*lv.Libvirt) (T, error)) (T, error) {
	if l.tamper != nil {
		inner := f
		f = func(rpc *lv.Libvirt) (value T, err error) {
			err = l.tamper(what, func() error { value, err = inner(rpc); return err })
			return value, err
		}
	}
	value, _, err := call(ctx, l, what, true, f)
	return value, err
}

// do is change for a call that answers nothing.
func do(ctx context.Context, l *link, what string, f func(*lv.Libvirt) error) error {
	_, err := change(ctx, l, what, func(rpc *lv.Libvirt) (struct{}, error) { return struct{}{}, f(rpc) })
	return err
}

// call runs f beside and waits for it or for the context's end. lost tells that the
// connection ended under it.
func call[T any](ctx context.Context, l *link, what string, changes bool, f func(*lv.Libvirt) (T, error)) (value T, lost bool, err error) {
	s, err := l.session(ctx)
	if err != nil {
		return value, false, err
	}
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	done := make(chan struct{})
	if !l.spawn(func() {
		defer close(done)
		v, err := f(s.rpc)
		answered <- answer{v, err}
	}) {
		return value, false, errClosed
	}
	select {
	case a := <-answered:
		if cutOff(a.err) && ctx.Err() == nil {
			s.close()
			return a.value, true, fmt.Errorf("%w: %s: %w", errLost, what, a.err)
		}
		return a.value, false, failure(what, a.err)
	case <-ctx.Done():
		l.leave(s, done, changes)
		return value, false, fmt.Errorf("libvirt: %s: %w", what, ctx.Err())
	}
}

// cutOff tells whether the connection ended under a call: the binding says EINVAL when it
// knew before.
func cutOff(err error) bool {
	for _, e := range []error{lv.ErrInterrupted, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF, syscall.EINVAL, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

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
