package master

import "sync/atomic"

// earlySyncBytes is how much is written before the disk is told to make it durable while
// more is decoded: a disk's own cache takes seconds to empty when it is left to the end. A
// disk that answers nothing else meanwhile loses little.
const earlySyncBytes = 128 << 20

// earlySync syncs a target from time to time.
type earlySync struct {
	target Target
	wake   chan struct{}
	bytes  atomic.Int64 // since the last one
}

func newEarlySync(t Target) *earlySync { return &earlySync{target: t, wake: make(chan struct{})} }

// wrote is told of bytes that were written. It does not wait.
func (s *earlySync) wrote(bytes int64) {
	if s.bytes.Add(bytes) < earlySyncBytes {
		return
	}
	select {
	case s.wake <- struct{}{}:
		s.bytes.Store(0)
	default: // it syncs already
	}
}

// run syncs until end.
func (s *earlySync) run() error {
	for range s.wake {
		if err := s.target.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// end is called once when nothing more is written.
func (s *earlySync) end() { close(s.wake) }
