package master

import (
	"errors"
	"testing"
	"testing/synctest"
)

// syncing is a target that can only be synced.
type syncing struct {
	Target
	synced int
	err    error
}

func (s *syncing) Sync() error {
	s.synced++
	return s.err
}

func TestEarlySync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := new(syncing)
		s := newEarlySync(target)
		ended := make(chan error, 1)
		go func() { ended <- s.run() }()
		wrote := func(bytes int64, want int) {
			t.Helper()
			synctest.Wait()
			s.wrote(bytes)
			synctest.Wait()
			if target.synced != want {
				t.Errorf("synced %d times, want %d", target.synced, want)
			}
		}
		wrote(earlySyncBytes-1, 0)
		wrote(1, 1)
		wrote(earlySyncBytes-1, 1)
		wrote(2, 2)
		s.end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wrote(earlySyncBytes, 2) // the start of the disk, which is written last
	})
}

func TestEarlySyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := &syncing{err: errors.New("the disk is gone")}
		s := newEarlySync(target)
		ended := make(chan error, 1)
		go func() { ended <- s.run() }()
		synctest.Wait()
		s.wrote(earlySyncBytes)
		if err := <-ended; !errors.Is(err, target.err) {
			t.Errorf("error %v", err)
		}
		s.wrote(2 * earlySyncBytes)
		s.end()
	})
}
