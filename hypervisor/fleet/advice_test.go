package fleet_test

import (
	"context"
	"testing"

	"ingot/inventory"
)

// advised is a denied step that knows what to do about it.
type advised struct{}

func (advised) Error() string { return "port 7444 is closed" }
func (advised) Unwrap() error { return inventory.ErrDenied }
func (advised) Try() string   { return "open TCP 7444" }

// TestAdvice: an error's own advice goes before the general one.
func TestAdvice(t *testing.T) {
	w := newWorld(t, "kvm1")
	h := w.hosts["kvm1"]
	h.failAt, h.failure = 1, advised{}
	w.create("web", "kvm1", 1<<30)
	m := w.until("web", func(m *inventory.Machine) bool { return m != nil && m.Status.Error != nil })
	if e := m.Status.Error; e.Try != "open TCP 7444" {
		t.Errorf("failure %+v", e)
	}
}

// TestCheckOfAnotherNetwork: a driver checks the network that it was opened with, so a host
// that was given another one is looked at anew.
func TestCheckOfAnotherNetwork(t *testing.T) {
	w := newWorld(t, "kvm1")
	look := func(want string) {
		t.Helper()
		found, err := w.fleet.Check(t.Context(), "kvm1")
		if err != nil || len(found) != 1 || found[0].What != want {
			t.Errorf("found %+v, %v; want %s", found, err, want)
		}
	}
	w.plan("kvm1")
	look("memory") // the driver's
	w.update(func(ctx context.Context, x inventory.Tx) error {
		h, err := x.Host(ctx, "kvm1")
		if err != nil {
			return err
		}
		h.Network = "br1"
		return x.PutHost(ctx, h)
	})
	look("reach") // Diagnose's
	if n := w.opened["kvm1"]; n != 1 {
		t.Errorf("connected %d times, want 1", n)
	}
}
