package lifecycle_test

import (
	"slices"
	"testing"

	"ingot/inventory"
	"ingot/inventory/lifecycle"
)

// looker is an executor that looks into the inventory when it is woken.
type looker struct {
	executor
	look  func() inventory.Phase
	found []inventory.Phase
}

// Wake implements lifecycle.Waker.
func (l *looker) Wake() { l.found = append(l.found, l.look()) }

// Who is woken finds the phase: not before it is stored.
func TestWaker(t *testing.T) {
	w := newWorld(t)
	ex := &looker{look: func() inventory.Phase { return w.machine().Status.Phase }}
	w.l.Executors[inventory.KindMetal] = ex
	w.ready()
	ex.found = nil
	w.deploy(lifecycle.DeployOrder{Image: "debian-12"})
	w.advance()
	if now := w.machine().Status.Phase; len(ex.found) == 0 || !slices.Contains(ex.found, now) {
		t.Errorf("woken at %q, the phase is %q", ex.found, now)
	}
}
