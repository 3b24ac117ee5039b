package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// latency is a kernel that is asked for low latency.
type latency struct {
	asked, ended atomic.Int32
	refuses      error
}

func (l *latency) ask() (func() error, error) {
	l.asked.Add(1)
	if l.refuses != nil {
		return nil, l.refuses
	}
	return func() error { l.ended.Add(1); return nil }, nil
}

func (l *latency) awake() *awake {
	log := slog.New(slog.DiscardHandler)
	return &awake{after: time.After, transfers: func() int { return 1 }, sleepless: request{ask: l.ask, log: log}}
}

// blocks moves n of them, at equal distances of synctest's clock: nothing sleeps.
func blocks(a *awake, n int, every time.Duration) {
	for range n {
		a.moved(1)
		<-time.After(every)
	}
	synctest.Wait()
}

// TestAwake asks while blocks move quickly, once, and no longer.
func TestAwake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(latency)
		a := l.awake()
		blocks(a, 10_000, 100*time.Microsecond)
		if l.asked.Load() != 1 || l.ended.Load() != 0 {
			t.Errorf("in a quick transfer: asked %d times, ended %d times", l.asked.Load(), l.ended.Load())
		}
		<-time.After(2 * beat)
		a.wait()
		if l.asked.Load() != 1 || l.ended.Load() != 1 {
			t.Errorf("after a quick transfer: asked %d times, ended %d times", l.asked.Load(), l.ended.Load())
		}
		blocks(a, 1000, 100*time.Microsecond)
		a.wait()
		if l.asked.Load() != 2 || l.ended.Load() != 2 {
			t.Errorf("after a second transfer: asked %d times, ended %d times", l.asked.Load(), l.ended.Load())
		}
	})
}

// TestAwakeSlow never asks for a transfer that waits for the network.
func TestAwakeSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(latency)
		a := l.awake()
		blocks(a, 1000, time.Millisecond)
		a.wait()
		if l.asked.Load() != 0 {
			t.Errorf("asked %d times", l.asked.Load())
		}
	})
}

// TestAwakeRefused asks once where the kernel refuses.
func TestAwakeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &latency{refuses: errors.New("no")}
		a := l.awake()
		for range 3 {
			blocks(a, 1000, 100*time.Microsecond)
			<-time.After(time.Second)
		}
		a.wait()
		if l.asked.Load() != 1 {
			t.Errorf("asked %d times", l.asked.Load())
		}
	})
}

// TestLowLatency asks this kernel: it keeps to it, or the error says what was refused.
func TestLowLatency(t *testing.T) {
	end, err := lowLatency()
	if err != nil {
		if !strings.Contains(err.Error(), latencyDevice) {
			t.Error(err)
		}
		return
	}
	f, err := os.Open(latencyDevice)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now := make([]byte, 4)
	if _, err := io.ReadFull(f, now); err != nil || binary.NativeEndian.Uint32(now) > latencyMicroseconds(idleDriver) {
		t.Errorf("the kernel keeps to %d us, %v", binary.NativeEndian.Uint32(now), err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

// TestTold: a transfer tells of its blocks, a few at a time.
func TestTold(t *testing.T) {
	told := int64(0)
	c := &counter{file: bytes.NewReader(make([]byte, 2100)), moved: func(n int64) { told += n }}
	for range 21 {
		if _, err := c.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if told != 16 {
		t.Errorf("told of %d blocks of 21, want 16", told)
	}
}

// TestLatency asks for no sleep in a virtual machine alone.
func TestLatency(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		driver string
		want   uint32
	}{{"haltpoll\n", 0}, {"intel_idle\n", 2}, {"none\n", 2}} {
		file := filepath.Join(dir, "current_driver")
		if err := os.WriteFile(file, []byte(c.driver), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := latencyMicroseconds(file); got != c.want {
			t.Errorf("with driver %q: %d us, want %d", c.driver, got, c.want)
		}
	}
	if got := latencyMicroseconds(filepath.Join(dir, "none")); got != 2 {
		t.Errorf("without a driver: %d us, want 2", got)
	}
}
