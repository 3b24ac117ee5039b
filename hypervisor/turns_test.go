package hypervisor

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestTurns: a name is one's at a time, and nobody keeps it whose context has ended.
func TestTurns(t *testing.T) {
	var turns Turns
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if release, err := turns.Take(ended, "name"); err == nil || release != nil {
			t.Fatal("taken with a context that has ended")
		}
	}
	release, err := turns.Take(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := turns.Take(short, "name"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("taken twice: %v", err)
	}
	release()
	release, err = turns.Take(t.Context(), "name")
	if err != nil {
		t.Fatal(err)
	}
	release()
	if len(turns.names) > 0 {
		t.Errorf("names are kept: %v", turns.names)
	}
}
