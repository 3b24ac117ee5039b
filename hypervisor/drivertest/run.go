package drivertest

import (
	"testing"
	"time"
)

// Run runs the suite. Nothing of it runs at once with something else at the host.
func Run(t *testing.T, h Harness) {
	if h.Soon == 0 {
		h.Soon = 5 * time.Second
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"life", life}, {"repeated", repeated}, {"image", image}, {"owners", owners}, {"names", names}, {"not found", notFound},
		{"refused", refused}, {"contexts", contexts}, {"faults", faults}, {"many", many}, {"vanished", vanished},
		{"snapshots", snapshots}, {"size", size},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, h) })
	}
}
