package fleet_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/inventory"
	"ingot/inventory/lifecycle"
)

// TestMemoryHost holds the tests' own host to the contract, and the contract to a host
// without tricks.
func TestMemoryHost(t *testing.T) {
	h := newMemoryHost()
	image, _ := goldenImage(t.Context(), golden)
	drivertest.Run(t, drivertest.Harness{
		New:   func(_ *testing.T, owner string) hypervisor.Driver { return &memoryDriver{h, owner} },
		Image: image,
		Left: func(*testing.T) []string {
			return append(slices.Sorted(maps.Keys(h.images)), slices.Sorted(maps.Keys(h.vms))...)
		},
		Vanish: func(_ *testing.T, vm hypervisor.VM) { delete(h.vms, vm.UUID) },
		Fail: func(_ *testing.T, n int) func() bool {
			h.failAt, h.failure = h.calls+n, errors.New("injected")
			return func() bool {
				hit := h.calls >= h.failAt
				h.failAt = 0
				return hit
			}
		},
	})
}

func TestLife(t *testing.T) {
	w := newWorld(t, "kvm1")
	w.create("web", inventory.AnyHost, 1<<30)
	m := w.until("web", phase(inventory.PhaseFirstBoot))
	uuid := hypervisor.UUID("here", m.ID)
	vm := w.hosts["kvm1"].vms[uuid]
	if vm == nil || vm.vm.Power != hypervisor.On || m.Spec.VM.Host != "kvm1" || m.Status.VM == nil || m.Status.VM.UUID != uuid || vm.vm.NICs[0].MAC != m.Identity.MACs[0] {
		t.Fatalf("host has %+v, inventory %+v", vm, m)
	}
	if w.secrets["kvm1"] != "unsealed of kvm1" {
		t.Errorf("opened with %q", w.secrets["kvm1"])
	}
	w.phoneHome("web")
	w.until("web", state(inventory.Deployed))
	if _, err := w.life.Deploy(t.Context(), "web", lifecycle.DeployOrder{Image: golden.Name}); err != nil {
		t.Fatal(err)
	}
	w.until("web", func(m *inventory.Machine) bool {
		return phase(inventory.PhaseFirstBoot)(m) && m.Status.VM != nil && m.Status.VM.Generation == 2
	})
	if w.hosts["kvm1"].sent != 1 {
		t.Errorf("the image was sent %d times", w.hosts["kvm1"].sent)
	}
	if _, err := w.life.Remove(t.Context(), "web", "test"); err != nil {
		t.Fatal(err)
	}
	w.until("web", func(m *inventory.Machine) bool { return m == nil })
	if left := w.hosts["kvm1"].vms; len(left) > 0 {
		t.Errorf("left at the host: %v", left)
	}
}

// TestFailures: what may pass is tried again, what can't stands with advice.
func TestFailures(t *testing.T) {
	w := newWorld(t, "kvm1")
	h := w.hosts["kvm1"]
	h.failAt, h.failure = 2, errors.New("disk on fire")
	w.create("web", "kvm1", 1<<30)
	w.until("web", phase(inventory.PhaseFirstBoot))
	failed := 0
	if err := w.store.View(t.Context(), func(x inventory.Tx) error {
		es, err := x.Events(t.Context(), inventory.EventQuery{Kinds: []inventory.EventKind{inventory.EventFailed}})
		for _, e := range es {
			if strings.Contains(e.Text(), "create failed: disk on fire") {
				failed++
			}
		}
		return err
	}); err != nil || failed != 1 {
		t.Errorf("%d events of the failure, %v", failed, err)
	}
	h.mu.Lock()
	h.failAt, h.failure = h.calls+1, fmt.Errorf("no right to make machines: %w", inventory.ErrDenied)
	h.mu.Unlock()
	w.create("denied", "kvm1", 1<<30)
	m := w.until("denied", func(m *inventory.Machine) bool { return m != nil && m.Status.Error != nil })
	if e := m.Status.Error; !e.Permanent || !strings.Contains(e.Reason, "no right") || !strings.Contains(e.Try, "ingot host check kvm1") {
		t.Errorf("failure %+v", e)
	}
}

// TestKilled: a server that dies while an image is on its way is followed by one that
// finishes, with one machine.
func TestKilled(t *testing.T) {
	w := newWorld(t, "kvm1")
	w.hosts["kvm1"].hold = make(chan struct{})
	w.create("web", inventory.AnyHost, 1<<30)
	w.until("web", phase(inventory.PhaseBoot))
	w.stop()
	close(w.hosts["kvm1"].hold)
	w.start()
	w.until("web", phase(inventory.PhaseFirstBoot))
	if n := len(w.hosts["kvm1"].vms); n != 1 {
		t.Errorf("%d machines at the host, want 1", n)
	}
	if err := w.fleet.Refresh(t.Context()); err != nil || w.listens["web on kvm1"] == 0 {
		t.Errorf("nobody listens for its phone-home: %v, %v", w.listens, err)
	}
}

// TestOvertaken: a machine that is removed while its image is on the way does not wait for
// the image.
func TestOvertaken(t *testing.T) {
	w := newWorld(t, "kvm1")
	h := w.hosts["kvm1"]
	h.hold, h.slow = make(chan struct{}), true
	w.create("web", "kvm1", 1<<30)
	w.until("web", phase(inventory.PhaseBoot))
	if _, err := w.life.Remove(t.Context(), "web", "test"); err != nil {
		t.Fatal(err)
	}
	w.until("web", func(m *inventory.Machine) bool { return m == nil })
	if len(h.vms) > 0 || h.sent > 0 {
		t.Errorf("machines %v, images sent %d", h.vms, h.sent)
	}
}

func TestPlacement(t *testing.T) {
	w := newWorld(t, "kvm1", "kvm2", "kvm3")
	w.hosts["kvm2"].can.MemoryBytes = 16 << 30
	w.hosts["kvm3"].can.MemoryBytes = 1 << 30
	for _, step := range []struct {
		name string
		host string
		why  string
	}{
		{"db", "kvm2", "most memory free"},
		{"web-1", "kvm2", "the image is there already"},
		{"web-2", "kvm1", "0 machines of its kind there, 1 on kvm2"},
	} {
		w.create(step.name, inventory.AnyHost, 2<<30)
		m := w.until(step.name, phase(inventory.PhaseFirstBoot))
		if m.Spec.VM.Host != step.host {
			t.Errorf("%s is on %s, want %s", step.name, m.Spec.VM.Host, step.host)
		}
		if why := w.placed(m.ID); !strings.Contains(why, step.why) {
			t.Errorf("%s: %q, want %q", step.name, why, step.why)
		}
	}
	w.create("huge", inventory.AnyHost, 64<<30)
	m := w.until("huge", func(m *inventory.Machine) bool { return m != nil && m.Status.Error != nil })
	if r := m.Status.Error.Reason; !strings.Contains(r, "no host takes machine huge") || !strings.Contains(r, "kvm3: 966 MB of memory free, 68.7 GB wanted") {
		t.Errorf("reason %q", r)
	}
}
