package bucket

import (
	"sync/atomic"
	"time"
)

// Stats count since the start.
type Stats struct {
	// PushedBytes and PulledBytes are of chunks.
	PushedBytes, PulledBytes atomic.Int64
	// Failures are looks that ended with an error; Good is when one last did not, in
	// seconds since 1970.
	Failures, Good atomic.Int64
}

func (s *Stats) looked(now time.Time, err error) {
	if err != nil {
		s.Failures.Add(1)
		return
	}
	s.Good.Store(now.Unix())
}
