package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ingot/pxe/agentapi"
)

// journal is a server's end of the log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	// fail is how many of the next requests fail; calls counts all.
	fail, calls int
	more        chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{}, 1000)} }

func (j *journal) append(_ context.Context, text []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer func() { j.more <- struct{}{} }()
	j.calls++
	if j.fail > 0 {
		j.fail--
		return errors.New("server is away")
	}
	j.text.Write(text)
	return nil
}

func (j *journal) has(t *testing.T, want string) {
	t.Helper()
	for {
		j.mu.Lock()
		text := j.text.String()
		j.mu.Unlock()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-j.more:
		case <-time.After(10 * time.Second):
			t.Fatalf("%q is not in the log: %q", want, text)
		}
	}
}

func TestLogShipsInOrder(t *testing.T) {
	var console bytes.Buffer
	b, j := newLogBuffer(&console), newJournal()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	j.fail = 3 // the server is away, and comes back
	go func() { done <- b.ship(ctx, j.append, time.Millisecond) }()
	var want strings.Builder
	for i := range 500 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if _, err := b.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	j.has(t, "line 499\n")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if j.text.String() != want.String() || console.String() != want.String() {
		t.Errorf("the log has %d bytes, the console %d, want %d in order", j.text.Len(), console.Len(), want.Len())
	}
}

func TestLogIsBounded(t *testing.T) {
	b := newLogBuffer(&bytes.Buffer{})
	line := []byte(strings.Repeat("x", 99) + "\n")
	for range 2 * logBufferBytes / len(line) {
		b.keep(line)
	}
	b.keep([]byte("last\n"))
	if n := len(b.pending); n > logBufferBytes || n < logBufferBytes/2 {
		t.Errorf("%d bytes are kept", n)
	}
	if text := string(b.pending); !strings.HasPrefix(text, "xxxx") || strings.Index(text, "\n") != 99 || !strings.HasSuffix(text, "\nlast\n") {
		t.Error("lines are not whole, or the newest is missing")
	}
}

// TestLogTrimmedWhileSending: what the bound took away while a request was under way is
// not taken away again.
func TestLogTrimmedWhileSending(t *testing.T) {
	b, j := newLogBuffer(&bytes.Buffer{}), newJournal()
	b.keep([]byte("first\n"))
	var once sync.Once
	err := b.flush(t.Context(), func(ctx context.Context, text []byte) error {
		once.Do(func() {
			b.keep(bytes.Repeat([]byte(strings.Repeat("y", 1023)+"\n"), logBufferBytes>>10))
			b.keep([]byte("second\n"))
		})
		return j.append(ctx, text)
	})
	if err != nil || !strings.HasPrefix(j.text.String(), "first\n") || !strings.HasSuffix(j.text.String(), "\nsecond\n") || len(b.pending) != 0 {
		t.Errorf("%v: %d bytes came, %d stay", err, j.text.Len(), len(b.pending))
	}
	if got := j.text.Len(); got < logBufferBytes-2048 {
		t.Errorf("%d bytes came", got)
	}
}

func TestLogRefusedText(t *testing.T) {
	b := newLogBuffer(&bytes.Buffer{})
	b.keep([]byte("bad\n"))
	err := b.flush(t.Context(), func(context.Context, []byte) error { return &agentapi.FinalError{Reason: "too large"} })
	if err != nil || len(b.pending) != 0 {
		t.Errorf("%v, %q stays", err, b.pending)
	}
}

func TestKernelLine(t *testing.T) {
	for _, c := range []struct {
		record, want string
		ok           bool
	}{
		{"6,339,5140900,-;NET: Registered protocol family 10\n", "NET: Registered protocol family 10", true},
		{"12,1,2,-,caller=T1;with; semicolons\n SUBSYSTEM=pci\n DEVICE=+pci:0000\n", "with; semicolons", true},
		{"6,1,2,-;\n", "", false},
		{"no semicolon", "", false},
		{"", "", false},
	} {
		line, ok := kernelLine([]byte(c.record))
		if string(line) != c.want || ok != c.ok {
			t.Errorf("kernelLine(%q) = %q, %v", c.record, line, ok)
		}
	}
}

func FuzzKernelLine(f *testing.F) {
	f.Add([]byte("6,339,5140900,-;text\n KEY=value\n"))
	f.Fuzz(func(t *testing.T, record []byte) {
		if line, ok := kernelLine(record); bytes.ContainsRune(line, '\n') || ok && len(line) == 0 {
			t.Errorf("line %q", line)
		}
	})
}

// TestKernelLog reads records from a pipe, and ends with its context.
func TestKernelLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kmsg")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var console bytes.Buffer
	b := newLogBuffer(&console)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- kernelLog(ctx, path, b) }()
	if _, err := w.WriteString("4,1,2,-;usb 1-1: new device\n"); err != nil {
		t.Fatal(err)
	}
	<-b.more
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text, _ := b.peek(); string(text) != "kernel: usb 1-1: new device\n" || console.Len() != 0 {
		t.Errorf("log %q, console %q", text, &console)
	}
	if err := kernelLog(t.Context(), path+"-none", b); err != nil {
		t.Errorf("no device: %v", err)
	}
}
