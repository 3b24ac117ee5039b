package fleet_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
)

// images are what a host has.
func (w *world) images(host string) []string {
	h := w.hosts[host]
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for digest := range h.images {
		all = append(all, digest)
	}
	return all
}

// wait asks again and again.
func (w *world) wait(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
	}
}

// TestPrefetch: a host gets what it asks for before its first VM, and loses it when it is
// removed, unless something stands on it.
func TestPrefetch(t *testing.T) {
	w := newWorld(t, "kvm1", "kvm2")
	w.stop()
	w.update(func(ctx context.Context, x inventory.Tx) error {
		h, err := x.Host(ctx, "kvm1")
		if err != nil {
			return err
		}
		h.Prefetch = []string{"debian-12", "none:stable"}
		return x.PutHost(ctx, h)
	})
	w.start()
	w.wait("the image is at kvm1", func() bool { return len(w.images("kvm1")) == 1 })
	if got := w.images("kvm2"); len(got) > 0 {
		t.Errorf("kvm2 has %v", got)
	}
	if err := w.fleet.RemoveImage(t.Context(), golden.Digest); err != nil {
		t.Error(err)
	}
	if got := w.images("kvm1"); len(got) > 0 {
		t.Errorf("kvm1 has %v", got)
	}
	w.create("web", "kvm1", 1<<30)
	w.until("web", phase(inventory.PhaseFirstBoot))
	if err := w.fleet.RemoveImage(t.Context(), golden.Digest); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "host kvm1") {
		t.Errorf("with a clone on it: %v", err)
	}
}
