package libvirt

import (
	"context"
	"errors"
	"sync"
	"time"

	lv "github.com/digitalocean/go-libvirt"
)

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
