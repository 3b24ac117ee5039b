package winrmsim

import (
	"io"
	"sync"
)

// stream is bytes between a client and a process; it takes all that is written.
type stream struct {
	mu      sync.Mutex
	b       []byte
	ended   bool
	changed chan struct{} // closed at the next change
}

func newStream() *stream { return &stream{changed: make(chan struct{})} }

// Write implements io.Writer.
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, io.ErrClosedPipe
	}
	s.b = append(s.b, b...)
	s.tell()
	return len(b), nil
}

// end is the end of what can be written.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.tell()
}

func (s *stream) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// take removes up to max bytes; next is closed when there may be more.
func (s *stream) take(max int) (b []byte, ended bool, next <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(max, len(s.b))
	b, s.b = s.b[:n:n], s.b[n:]
	return b, s.ended && len(s.b) == 0, s.changed
}

// Read implements io.Reader for a process.
func (s *stream) Read(b []byte) (int, error) {
	for {
		got, ended, next := s.take(len(b))
		if len(got) > 0 {
			return copy(b, got), nil
		}
		if ended {
			return 0, io.EOF
		}
		<-next
	}
}
