package agent

import (
	"bytes"
	"context"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// logBufferBytes bounds what is kept while the server can't be reached; the oldest goes.
const logBufferBytes = 256 << 10

// logBuffer keeps what the agent prints until the server has it.
type logBuffer struct {
	mu      sync.Mutex
	pending []byte
	console io.Writer
	more    chan struct{}
}

func newLogBuffer(console io.Writer) *logBuffer {
	return &logBuffer{console: console, more: make(chan struct{}, 1)}
}

// Write prints to the console and keeps the text for the server.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	b.pending = append(b.pending, p...)
	if over := len(b.pending) - logBufferBytes; over > 0 {
		b.pending = b.pending[over:]
	}
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
	_, _ = b.console.Write(p) // a broken console must not stop the agent
	return len(p), nil
}

// sendBytes is the most that one request carries.
const sendBytes = 64 << 10

func (b *logBuffer) peek() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.pending[:min(len(b.pending), sendBytes)])
}

func (b *logBuffer) drop(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = b.pending[min(n, len(b.pending)):]
}

// ship sends what is pending through send until ctx ends. Lines are gathered for a
// moment, so that a chatty driver is not a request a line.
func (b *logBuffer) ship(ctx context.Context, send func(context.Context, []byte) error) error {
	for {
		if text := b.peek(); len(text) > 0 {
			if send(ctx, text) == nil {
				b.drop(len(text))
				continue
			}
		} else {
			select {
			case <-ctx.Done():
				return nil
			case <-b.more:
			}
		}
		if sleep(ctx, 500*time.Millisecond) != nil {
			return nil
		}
	}
}

// kernelLog copies the kernel's messages from now on into the log.
func kernelLog(ctx context.Context, w io.Writer) error {
	f, err := os.Open("/dev/kmsg")
	if err != nil {
		return nil //nolint:nilerr // no kernel log device: nothing to copy
	}
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer stop()
	buf := make([]byte, 8192)
	for {
		n, err := f.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			continue // EPIPE: messages were overwritten before we read them
		}
		if _, text, ok := bytes.Cut(buf[:n], []byte(";")); ok {
			line, _, _ := bytes.Cut(text, []byte("\n"))
			_, _ = w.Write(append(append([]byte("kernel: "), line...), '\n'))
		}
	}
}

// crashToKernel makes a crash of this program end in the kernel's log, which netconsole
// carries to the server.
func crashToKernel() error {
	f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return debug.SetCrashOutput(f, debug.CrashOptions{})
}
