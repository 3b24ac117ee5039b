package fleet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"ingot/hypervisor/fleet"
)

// selfTest runs a self-test on kvm1 and returns what was told.
func (w *world) selfTest(image bool) (told []string, err error) {
	w.t.Helper()
	i := &golden
	if !image {
		i = nil
	}
	err = w.fleet.SelfTest(w.t.Context(), "kvm1", i, func(s fleet.TestStep) {
		if s.Err != nil {
			s.What += " failed"
		}
		told = append(told, s.What)
	})
	return told, err
}

// TestSelfTest: the host in memory has neither snapshots nor sizes; libvirt's, vSphere's and
// Hyper-V's have.
func TestSelfTest(t *testing.T) {
	w := newWorld(t, "kvm1")
	h := w.hosts["kvm1"]
	told, err := w.selfTest(true)
	want := []string{"check the host", "clear what an earlier test left", "bring the image", "create", "create it again", "find it in the list", "switch it on", "switch it off",
		"switch it on", "delete"}
	if err != nil || !slices.Equal(told, want) || len(h.vms) > 0 {
		t.Errorf("told %q, %v; left %v", told, err, h.vms)
	}
	if told, err := w.selfTest(false); err != nil || slices.Contains(told, "bring the image") {
		t.Errorf("without an image: %q, %v", told, err)
	}
}

// Whatever fails is told, and nothing is left but what the next test clears away.
func TestSelfTestFails(t *testing.T) {
	w := newWorld(t, "kvm1")
	h := w.hosts["kvm1"]
	for n := 1; ; n++ {
		h.mu.Lock()
		h.failAt, h.failure = h.calls+n, errors.New("injected")
		at := h.failAt
		h.mu.Unlock()
		told, err := w.selfTest(true)
		if h.calls < at {
			h.failAt = 0
			if n < 5 {
				t.Errorf("only %d calls could fail", n)
			}
			break
		}
		if err == nil || !strings.Contains(err.Error(), "injected") || !slices.ContainsFunc(told, func(s string) bool { return strings.HasSuffix(s, "failed") }) {
			t.Errorf("call %d failed: told %q, %v", n, told, err)
		}
		if !slices.Contains(told, "create") && !slices.Contains(told, "create failed") && strings.HasPrefix(told[len(told)-1], "delete") {
			t.Errorf("told %q: nothing was made", told)
		}
		if _, err := w.selfTest(true); err != nil || len(h.vms) > 0 {
			t.Errorf("after call %d failed: %v, left %v", n, err, h.vms)
		}
	}
}
