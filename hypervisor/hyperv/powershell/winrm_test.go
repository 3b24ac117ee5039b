package powershell_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor/hyperv/powershell"
	"ingot/hypervisor/hyperv/winrmsim"
	"ingot/inventory"
)

func TestRun(t *testing.T) {
	s, _ := serve(t, winrmsim.Options{})
	w := over(t, s, config(s))
	if err := echoes(t.Context(), w, `{"a":"ä\"'`+"`"+`$x"}`); err != nil {
		t.Error(err)
	}
	_, err := w.Run(t.Context(), fail, nil)
	var got *powershell.Error
	want := &powershell.Error{Script: "fail", ID: "NotFound,New-VM", Category: "ObjectNotFound", HResult: 0x80041002, Type: "T", Message: "no such ä", Target: "vm"}
	if !errors.As(err, &got) || cmp.Diff(want, got) != "" || errors.Is(err, powershell.ErrNotStarted) {
		t.Errorf("got %v", err)
	}
	_, err = w.Run(t.Context(), died, nil)
	if err == nil || !strings.Contains(err.Error(), "exit code 3: powershell.exe : Stopped on the way. + FullyQualifiedErrorId : RuntimeException") || errors.Is(err, powershell.ErrNotStarted) {
		t.Errorf("a script that dies: %v", err)
	}
	if n := s.Count("Create"); n != 1 {
		t.Errorf("%d shells were made, want 1", n)
	}
	if n := s.Logins(); n != 2 {
		t.Errorf("%d logins, want 2: of the command's lane and the keeper's", n)
	}
}

// Requests larger than an envelope go in pieces, and answers come in such.
func TestLarge(t *testing.T) {
	s, _ := serve(t, winrmsim.Options{MaxEnvelope: 153600, ChunkBytes: 30000})
	w := over(t, s, config(s))
	if err := echoes(t.Context(), w, `"`+strings.Repeat("x", 500_000)+`"`); err != nil {
		t.Error(err)
	}
	if n := s.Count("Send"); n < 6 {
		t.Errorf("%d requests", n)
	}
	for _, r := range s.Requests() {
		if r.Bytes > 150<<10 {
			t.Errorf("%s of %d bytes", r.Action, r.Bytes)
		}
	}
	if _, err := w.Run(t.Context(), echo, make([]byte, 2<<20)); !errors.Is(err, inventory.ErrInvalid) || !errors.Is(err, powershell.ErrNotStarted) {
		t.Errorf("too large: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	s, hang := serve(t, winrmsim.Options{})
	w := over(t, s, config(s))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := w.Run(ctx, forget, nil); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-hang
	}
	// A fifth waits for its turn, and gives up with its context.
	short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := echoes(short, w, `1`); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, powershell.ErrNotStarted) {
		t.Error(err)
	}
	cancel()
	all.Wait()
	for i := range 20 {
		all.Go(func() {
			if err := echoes(t.Context(), w, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.Count("Create"); n != 1 {
		t.Errorf("%d shells were made, want 1", n)
	}
}

// A context that ends stops the script over there, and the call returns soon.
func TestCancel(t *testing.T) {
	ended := make(chan struct{})
	hang := make(started)
	s, _ := serve(t, winrmsim.Options{Handler: func(ctx context.Context, p winrmsim.Process) int {
		defer close(ended)
		return winrmsim.PowerShell(hang.run)(ctx, p)
	}})
	w := over(t, s, config(s))
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() { <-hang; cancel(enough) }()
	_, err := w.Run(ctx, forget, nil)
	<-ended
	if !errors.Is(err, enough) || errors.Is(err, powershell.ErrNotStarted) || s.Count("Signal") != 1 || s.Shells() != 1 {
		t.Errorf("got %v, %d signals, %d shells", err, s.Count("Signal"), s.Shells())
	}
}

// A host that answers nothing any more does not hold a call.
func TestCancelSilent(t *testing.T) {
	s, hang := serve(t, winrmsim.Options{})
	w := over(t, s, config(s))
	ctx, cancel := context.WithCancel(t.Context())
	var began time.Time
	go func() {
		<-hang
		s.Fail("Signal", 1, winrmsim.Mishap{Hold: make(chan struct{})})
		began = time.Now()
		cancel()
	}()
	if _, err := w.Run(ctx, forget, nil); !errors.Is(err, context.Canceled) || time.Since(began) > 2*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
	if err := echoes(t.Context(), w, `1`); err != nil {
		t.Errorf("next call: %v", err)
	}
	if s.Count("Create") != 2 {
		t.Error("the shell with the lost command was used again")
	}
}

func TestClose(t *testing.T) {
	s, hang := serve(t, winrmsim.Options{})
	w := over(t, s, config(s))
	done := make(chan error)
	go func() { _, err := w.Run(t.Context(), forget, nil); done <- err }()
	<-hang
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a script under Close: %v", err)
	}
	if err := echoes(t.Context(), w, `1`); !errors.Is(err, powershell.ErrNotStarted) {
		t.Errorf("after Close: %v", err)
	}
	if s.Shells() != 0 {
		t.Error("the shell is left over")
	}
}
