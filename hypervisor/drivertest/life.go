package drivertest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"ingot/hypervisor"
	"ingot/inventory"
)

// life: made, on, off, gone.
func life(t *testing.T, h Harness) {
	d := h.ready(t, "life")
	before := h.Left(t)
	spec := h.small("m-life", "life")
	spec.Disks = append(spec.Disks, hypervisor.DiskSpec{SizeBytes: 8 << 20})
	vm, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	if vm.ID != spec.ID || vm.Name != spec.Name || vm.Power != hypervisor.Off || vm.CPUs != 1 || vm.MemoryBytes != spec.MemoryBytes ||
		vm.ImageDigest != h.Image.Digest || vm.UUID == "" || len(vm.Disks) != 2 || vm.Disks[1].SizeBytes != 8<<20 || vm.Disks[0].SizeBytes != h.Image.SizeBytes {
		t.Errorf("made %+v", vm)
	}
	if len(vm.NICs) != 1 || vm.NICs[0].MAC != spec.NICs[0].MAC {
		t.Errorf("NICs %+v", vm.NICs)
	}
	if d.Capabilities().LinkedClones && vm.Clone != hypervisor.LinkedClone {
		t.Errorf("clone is %q, the host can link", vm.Clone)
	}
	for _, step := range []struct {
		to  hypervisor.PowerState
		how hypervisor.PowerHow
	}{{hypervisor.On, hypervisor.Graceful}, {hypervisor.Off, hypervisor.Force}, {hypervisor.On, hypervisor.Graceful}} {
		if err := d.SetPower(t.Context(), vm.ID, step.to, step.how); err != nil {
			t.Fatalf("power %s: %v", step.to, err)
		}
		if got, err := d.Get(t.Context(), vm.ID); err != nil || got.Power != step.to {
			t.Errorf("power is %q (%v), want %q", got.Power, err, step.to)
		}
	}
	if err := d.Delete(t.Context(), vm.ID); err != nil {
		t.Fatalf("delete a running machine: %v", err)
	}
	if diff := cmp.Diff(before, h.Left(t)); diff != "" {
		t.Errorf("left at the host (-before +after):\n%s", diff)
	}
}

// repeated: each call again is harmless.
func repeated(t *testing.T, h Harness) {
	d := h.ready(t, "again")
	spec := h.small("m-again", "again")
	var made []hypervisor.VM
	for range 2 {
		if err := d.EnsureImage(t.Context(), h.Image, nil); err != nil {
			t.Fatal(err)
		}
		vm, err := d.Create(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, vm)
	}
	if diff := cmp.Diff(made[0], made[1]); diff != "" {
		t.Errorf("second create (-first +second):\n%s", diff)
	}
	for _, to := range []hypervisor.PowerState{hypervisor.On, hypervisor.On, hypervisor.Off, hypervisor.Off} {
		if err := d.SetPower(t.Context(), spec.ID, to, hypervisor.Force); err != nil {
			t.Errorf("power %s: %v", to, err)
		}
	}
	for range 2 {
		if err := d.Delete(t.Context(), spec.ID); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	for range 2 {
		if err := d.RemoveImage(t.Context(), h.Image.Digest); err != nil {
			t.Errorf("remove image: %v", err)
		}
	}
}

// vanished: a machine that somebody else deleted is not found, and its rest goes.
func vanished(t *testing.T, h Harness) {
	d := h.ready(t, "vanished")
	before := h.Left(t)
	vm, err := d.Create(t.Context(), h.small("m-vanished", "vanished"))
	if err != nil {
		t.Fatal(err)
	}
	h.Vanish(t, vm)
	if _, err := d.Get(t.Context(), vm.ID); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if err := d.Delete(t.Context(), vm.ID); err != nil {
		t.Errorf("delete: %v", err)
	}
	if diff := cmp.Diff(before, h.Left(t)); diff != "" {
		t.Errorf("left at the host (-before +after):\n%s", diff)
	}
}

// atOnce is how many machines are made together.
const atOnce = 20

// many: made at once, listed at once.
func many(t *testing.T, h Harness) {
	d := h.ready(t, "many")
	var making errgroup.Group
	for i := range atOnce {
		making.Go(func() error {
			_, err := d.Create(t.Context(), h.small(fmt.Sprintf("m-many%d", i), fmt.Sprintf("many %d", i)))
			return err
		})
	}
	if err := making.Wait(); err != nil {
		t.Fatal(err)
	}
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, vm := range all {
		ids[vm.ID] = true
	}
	if len(ids) != atOnce {
		t.Errorf("%d machines listed, want %d", len(ids), atOnce)
	}
}
