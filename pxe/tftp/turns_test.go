package tftp

import (
	"errors"
	"log/slog"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCrowd asks while there is a crowd, once, and no longer.
func TestCrowd(t *testing.T) {
	l, transfers := new(latency), 0
	a := awake{transfers: func() int { return transfers }, turns: request{ask: l.ask, log: slog.New(slog.DiscardHandler)}}
	for _, step := range []struct {
		transfers    int
		asked, ended int32
	}{
		{1, 0, 0}, {crowdTransfers - 1, 0, 0}, {crowdTransfers, 1, 0}, {100, 1, 0}, {2, 1, 1}, {1, 1, 1}, {100, 2, 1},
	} {
		transfers = step.transfers
		a.look()
		if l.asked.Load() != step.asked || l.ended.Load() != step.ended {
			t.Errorf("%d transfers: asked %d times, ended %d times, want %d and %d", transfers, l.asked.Load(), l.ended.Load(), step.asked, step.ended)
		}
	}
	a.turns.end()
	if a.turns.end(); l.ended.Load() != 2 {
		t.Errorf("ended %d times, want 2", l.ended.Load())
	}
	l.refuses = errors.New("no")
	for range 3 {
		a.look()
	}
	if l.asked.Load() != 3 {
		t.Errorf("asked %d times, want 3: not again after a refusal", l.asked.Load())
	}
}

// TestTakeTurns asks this kernel: all threads change their policy, and back.
func TestTakeTurns(t *testing.T) {
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	end, err := takeTurns()
	if own.Policy != unix.SCHED_NORMAL {
		if err == nil {
			t.Error("the policy that these tests run with is changed")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, err := reschedule(unix.SCHED_NORMAL, unix.SCHED_NORMAL); n != 0 || err != nil {
		t.Errorf("%d threads still interrupt, %v", n, err)
	}
	if _, err := takeTurns(); err == nil {
		t.Error("a policy that was set is changed")
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if n, err := reschedule(unix.SCHED_BATCH, unix.SCHED_BATCH); n != 0 || err != nil {
		t.Errorf("%d threads still take turns, %v", n, err)
	}
}
