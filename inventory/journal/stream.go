package journal

import (
	"os"
	"sync"
	"time"
)

// maxBytes is where a stream is rotated: the older half is dropped, so one machine keeps
// at most twice this.
const maxBytes = 8 << 20

// stream is the open end of one file.
type stream struct {
	mu      sync.Mutex
	file    *os.File
	size    int64
	midLine bool
	grown   chan struct{}
	// rotations counts the files that were begun, for readers that follow.
	rotations int
}

// stamp puts the time before each new line and drops control bytes, which a hostile
// machine could send to a reader's terminal.
func (s *stream) stamp(text []byte, now time.Time) []byte {
	prefix := now.UTC().Format("2006-01-02T15:04:05.000Z ")
	out := make([]byte, 0, len(text)+len(prefix)*2)
	for _, c := range text {
		if c == '\r' || (c < ' ' && c != '\n' && c != '\t') || c == 0x7f {
			continue
		}
		if !s.midLine && c != '\n' {
			out = append(out, prefix...)
			s.midLine = true
		}
		out = append(out, c)
		if c == '\n' {
			s.midLine = false
		}
	}
	return out
}
