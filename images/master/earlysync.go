package master

import "sync/atomic"

// earlySyncBytes is how much is written before the disk is told to make it durable while
// more is decoded: left to the end, a disk's own cache may take as long to empty as the
// writing took. A disk that answers nothing else meanwhile loses little.
const earlySyncBytes = 128 << 20

// earlySync syncs a target from time to time.
type earlySync struct {
	target Target
	wake   chan struct{} // never closed: bytes are also written behind the end
	stop   chan struct{}
	bytes  atomic.Int64 // since the last sync began
}

func newEarlySync(t Target) *earlySync {
	return &earlySync{target: t, wake: make(chan struct{}), stop: make(chan struct{})}
}

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
	for {
		select {
		case <-s.wake:
			if err := s.target.Sync(); err != nil {
				return err
			}
		case <-s.stop:
			return nil
		}
	}
}

// end is called once, when the sync that ends it all is next.
func (s *earlySync) end() { close(s.stop) }
