package facts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// errNoAnswer is given for a device that was left behind.
var errNoAnswer = errors.New("no answer")

// ask puts a question to a device: live on the running machine, from the dump's ioctl
// folder otherwise.
func (t tree) ask(device, question string, live func() ([]byte, error)) ([]byte, error) {
	if t.live() {
		return live()
	}
	data, err := os.ReadFile(t.path("ioctl/" + device + "/" + question))
	if err != nil {
		return nil, fmt.Errorf("question %s to %s: %w", question, device, errors.ErrUnsupported)
	}
	return data, nil
}

// within runs read and waits for its result no longer than limit. A device driver may
// hold a call for minutes in a way that nothing can interrupt; the call is then left to
// end by itself, and its late result is dropped. This is the one place where a goroutine
// is not waited for.
func within[T any](ctx context.Context, limit time.Duration, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := read()
		done <- result{v, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, fmt.Errorf("%w in %s", errNoAnswer, limit)
	}
}
