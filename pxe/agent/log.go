package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ingot/pxe/agentapi"
)

// Limits of the log.
const (
	// logBufferBytes is kept while the server can't be reached; the oldest lines go.
	logBufferBytes = 256 << 10
	// sendBytes is the most that one request carries.
	sendBytes = 64 << 10
	// gather is how long lines wait for more, so that a chatty driver is not a request a
	// line.
	gather = 500 * time.Millisecond
)

// logBuffer keeps what the agent prints until the server has it.
type logBuffer struct {
	console io.Writer
	more    chan struct{}

	mu      sync.Mutex
	pending []byte
	// start counts the bytes that stood before pending.
	start int64
}

func newLogBuffer(console io.Writer) *logBuffer {
	return &logBuffer{console: console, more: make(chan struct{}, 1)}
}

// Write prints to the console and keeps the text for the server.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.keep(p)
	_, _ = b.console.Write(p) // a broken console must not stop the agent
	return len(p), nil
}

// keep keeps whole lines for the server alone.
func (b *logBuffer) keep(p []byte) {
	b.mu.Lock()
	b.pending = append(b.pending, p...)
	if over := len(b.pending) - logBufferBytes; over > 0 {
		if line := bytes.IndexByte(b.pending[over:], '\n'); line >= 0 {
			over += line + 1
		}
		b.drop(over)
	}
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// drop forgets the first n bytes; the lock is held.
func (b *logBuffer) drop(n int) {
	b.start += int64(n)
	b.pending = append(b.pending[:0:0], b.pending[n:]...)
}

// peek returns what to send next, and where it ends.
func (b *logBuffer) peek() (text []byte, end int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text = bytes.Clone(b.pending[:min(len(b.pending), sendBytes)])
	return text, b.start + int64(len(text))
}

// sent forgets what stands before end. Some of it may be gone already.
func (b *logBuffer) sent(end int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := end - b.start; n > 0 {
		b.drop(int(n))
	}
}

// send is how text gets to the server.
type send func(context.Context, []byte) error

// ship sends what is pending until ctx ends.
func (b *logBuffer) ship(ctx context.Context, to send, pause time.Duration) error {
	for {
		if b.flush(ctx, to) == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-b.more:
			}
		}
		if sleep(ctx, pause) != nil {
			return nil
		}
	}
}

// flush sends all that is pending. Text that the server refuses for good is dropped.
func (b *logBuffer) flush(ctx context.Context, to send) error {
	for {
		text, end := b.peek()
		if len(text) == 0 {
			return nil
		}
		var final *agentapi.FinalError
		if err := to(ctx, text); err != nil && !errors.As(err, &final) {
			return err
		}
		b.sent(end)
	}
}

// kernelLog copies the kernel's messages into the log, those since power-on first. They
// are on the console already.
func kernelLog(ctx context.Context, device string, b *logBuffer) error {
	f, err := os.Open(device)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	buf := make([]byte, 8192)
	for {
		n, err := f.Read(buf)
		if errors.Is(err, unix.EPIPE) {
			continue // messages were overwritten before we read them
		}
		if err != nil || ctx.Err() != nil {
			return nil //nolint:nilerr // no kernel log is no reason to stop
		}
		if line, ok := kernelLine(buf[:n]); ok {
			b.keep(append(append([]byte("kernel: "), line...), '\n'))
		}
	}
}

// kernelLine is the text of a record of /dev/kmsg: "level,sequence,time,flags;text", and
// lines of a dictionary after it (Linux, Documentation/ABI/testing/dev-kmsg).
func kernelLine(record []byte) (line []byte, ok bool) {
	_, text, ok := bytes.Cut(record, []byte(";"))
	line, _, _ = bytes.Cut(text, []byte("\n"))
	return line, ok && len(line) > 0
}

// noTime drops the time from log lines: the board's clock may be wrong, and the server
// stamps lines as they come.
func noTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
