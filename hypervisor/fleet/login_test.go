package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"ingot/inventory"
)

// TestMetOnce: however many ask at once, a host is connected to once; and anew when its
// address or its secret changes, but not for what does not matter to the connection.
func TestMetOnce(t *testing.T) {
	w := newWorld(t, "kvm1")
	for i, step := range []struct {
		change func(context.Context, inventory.Tx) error
		want   int
	}{
		{func(context.Context, inventory.Tx) error { return nil }, 1},
		{func(ctx context.Context, x inventory.Tx) error {
			return x.PutHost(ctx, inventory.Host{Name: "kvm1", URL: "qemu+ssh://kvm1/system", Network: "br0"})
		}, 1},
		{func(ctx context.Context, x inventory.Tx) error {
			return x.PutHost(ctx, inventory.Host{Name: "kvm1", URL: "qemu+ssh://elsewhere/system", Network: "br0"})
		}, 2},
		{func(ctx context.Context, x inventory.Tx) error {
			return x.PutHostSecret(ctx, "kvm1", []byte("sealed anew"))
		}, 3},
	} {
		w.update(step.change)
		var asking sync.WaitGroup
		for range 20 {
			asking.Go(func() { w.plan("kvm1") })
		}
		asking.Wait()
		if w.opened["kvm1"] != step.want {
			t.Errorf("step %d: connected %d times, want %d", i, w.opened["kvm1"], step.want)
		}
	}
	w.create("web", "kvm1", 1<<30)
	m := w.until("web", phase(inventory.PhaseFirstBoot))
	if got := w.hosts["kvm1"].vms[m.Status.VM.UUID].vm.NICs[0].Network; got != "br0" {
		t.Errorf("its NIC is on %q, want the network that the host was given later", got)
	}
}

// TestCheck: first contact is diagnosed, with the host's secret; a host that is connected
// is asked itself.
func TestCheck(t *testing.T) {
	w := newWorld(t, "kvm1")
	check := func(want string) {
		t.Helper()
		found, err := w.fleet.Check(t.Context(), "kvm1")
		if err != nil || len(found) != 1 || found[0].What != want {
			t.Errorf("got %+v, %v; want %q", found, err, want)
		}
	}
	check("reach")
	w.diagnosed = fmt.Errorf("diagnose: %w", context.DeadlineExceeded)
	check("reach")
	if w.opened["kvm1"] != 0 || w.secrets["kvm1"] != "unsealed of kvm1" {
		t.Errorf("opened %d times, with %q", w.opened["kvm1"], w.secrets["kvm1"])
	}
	w.plan("kvm1")
	check("memory")
	w.update(func(ctx context.Context, x inventory.Tx) error { return x.PutHostSecret(ctx, "kvm1", []byte("spoilt")) })
	check("secret")
	if _, err := w.fleet.Check(t.Context(), "nobody"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("a host that is not there: %v", err)
	}
}

// TestRefusedLogin: a login that was refused is not tried again and again, which would lock
// the account; it is with another secret, and after a person has looked.
func TestRefusedLogin(t *testing.T) {
	w := newWorld(t, "kvm1")
	secret := func(s string) func(context.Context, inventory.Tx) error {
		return func(ctx context.Context, x inventory.Tx) error { return x.PutHostSecret(ctx, "kvm1", []byte(s)) }
	}
	try := func(want error, opened int) {
		t.Helper()
		if _, err := w.fleet.Foreign(t.Context(), "kvm1"); !errors.Is(err, want) || w.opened["kvm1"] != opened {
			t.Errorf("got %v and opened it %d times; want %v, %d", err, w.opened["kvm1"], want, opened)
		}
	}
	w.update(secret("wrong"))
	for range 3 {
		try(inventory.ErrDenied, 1)
	}
	if _, err := w.fleet.Check(t.Context(), "kvm1"); err != nil {
		t.Error(err)
	}
	try(inventory.ErrDenied, 2)
	try(inventory.ErrDenied, 2)
	w.update(secret("right"))
	try(inventory.ErrUnsupported, 3)
}
