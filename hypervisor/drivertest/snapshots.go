package drivertest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/inventory"
)

// snapshots: kept, gone back to, deleted; with the machine.
func snapshots(t *testing.T, h Harness) {
	d := h.ready(t, "snapshots")
	s, ok := d.(hypervisor.Snapshotter)
	if !ok {
		t.Log("no snapshots here")
		return
	}
	before := h.Left(t)
	spec := h.small("m-snap", "snap")
	if _, err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPower(t.Context(), spec.ID, hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before", `after "it"`} {
		if err := s.CreateSnapshot(t.Context(), spec.ID, name); err != nil {
			t.Fatalf("snapshot %q: %v", name, err)
		}
		if err := s.CreateSnapshot(t.Context(), spec.ID, name); err != nil {
			t.Errorf("snapshot %q that is there: %v", name, err)
		}
	}
	if vm, err := d.Get(t.Context(), spec.ID); err != nil || vm.Power != hypervisor.On {
		t.Errorf("after a snapshot the machine is %q, %v; it ran before", vm.Power, err)
	}
	if all, err := s.Snapshots(t.Context(), spec.ID); err != nil || len(all) != 2 || all[0].Name != "before" {
		t.Errorf("snapshots %+v, %v", all, err)
	}
	revert(t, d, s, spec.ID)
	for range 2 {
		if err := s.DeleteSnapshot(t.Context(), spec.ID, "before"); err != nil {
			t.Errorf("delete snapshot: %v", err)
		}
	}
	if err := d.Delete(t.Context(), spec.ID); err != nil {
		t.Errorf("delete a machine with a snapshot: %v", err)
	}
	if diff := cmp.Diff(before, h.Left(t)); diff != "" {
		t.Errorf("left at the host (-before +after):\n%s", diff)
	}
}

// revert: the machine is off afterwards, as it was made.
func revert(t *testing.T, d hypervisor.Driver, s hypervisor.Snapshotter, id string) {
	t.Helper()
	if err := s.RevertSnapshot(t.Context(), id, "before"); err != nil {
		t.Errorf("revert: %v", err)
	}
	if vm, err := d.Get(t.Context(), id); err != nil || vm.Power != hypervisor.Off {
		t.Errorf("after a revert the machine is %q, %v; want off", vm.Power, err)
	}
	if err := s.RevertSnapshot(t.Context(), id, "never made"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("revert to what is not there: %v", err)
	}
}
