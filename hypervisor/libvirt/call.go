package libvirt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	lv "github.com/digitalocean/go-libvirt"
)

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
