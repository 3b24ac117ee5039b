package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait is the longest pause between two looks at a lock that another process holds.
const lockWait = 100 * time.Millisecond

// lock waits for the right to change what images, chunks and channels there are, in this
// process and in all that share the folder. Readers need none: what they see appears and
// goes by one rename.
func (s *Store) lock(ctx context.Context) (unlock func() error, err error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err == nil {
		if err = waitFlock(ctx, f); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		<-s.turn
		return nil, fmt.Errorf("lock image store: %w", err)
	}
	return func() error {
		err := f.Close() // flock(2): ends with the open file
		<-s.turn
		return err
	}, nil
}

// locked runs change under the lock.
func (s *Store) locked(ctx context.Context, change func() error) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	err = change()
	return errors.Join(err, unlock())
}

func waitFlock(ctx context.Context, f *os.File) error {
	for wait := time.Millisecond; ; wait = min(2*wait, lockWait) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
