package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/inventory"
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

// image: sent once, whole or not at all, and kept while a clone stands on it.
func image(t *testing.T, h Harness) {
	d := h.driver(t, "image")
	for name, change := range map[string]func(*hypervisor.Artefact, []byte){
		"cut short":  func(a *hypervisor.Artefact, data []byte) { a.Content = Artefact(data[:len(data)/2]).Content },
		"wrong hash": func(a *hypervisor.Artefact, _ []byte) { a.SHA256 = strings.Repeat("0", 64) },
	} {
		bad := h.Image
		bad.Open = func(_ context.Context, f hypervisor.Format) (hypervisor.Artefact, error) {
			data := h.data(t, f)
			a := Artefact(data)
			change(&a, data)
			return a, nil
		}
		if err := d.EnsureImage(t.Context(), bad, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
		if digests, err := d.Images(t.Context()); err != nil || slices.Contains(digests, h.Image.Digest) {
			t.Errorf("%s: images %v, %v", name, digests, err)
		}
	}
	if left := h.Left(t); len(left) > 0 {
		t.Errorf("left of bad images: %q", left)
	}
	planBefore(t, h, d)
	d = h.ready(t, "image")
	again := h.Image
	again.Open = func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
		return hypervisor.Artefact{}, errors.New("sent a second time")
	}
	if err := d.EnsureImage(t.Context(), again, nil); err != nil {
		t.Errorf("an image that is there: %v", err)
	}
	if digests, err := d.Images(t.Context()); err != nil || !slices.Equal(digests, []string{h.Image.Digest}) {
		t.Errorf("images %v, %v", digests, err)
	}
	vm, err := d.Create(t.Context(), h.small("m-clone", "clone"))
	if err != nil {
		t.Fatal(err)
	}
	if vm.Clone == hypervisor.LinkedClone {
		if err := d.RemoveImage(t.Context(), h.Image.Digest); !errors.Is(err, inventory.ErrBusy) {
			t.Errorf("remove the image of a clone: got %v, want ErrBusy", err)
		}
	}
}

// planBefore: an image that is not there yet is one of a plan's steps.
func planBefore(t *testing.T, h Harness, d hypervisor.Driver) {
	t.Helper()
	spec := h.small("m-plan", "plan")
	spec.ImageBytes = h.Image.SizeBytes
	plan, err := d.Plan(t.Context(), spec)
	if err != nil || len(plan.Steps) == 0 || plan.Request == "" || plan.Clone == "" {
		t.Errorf("plan before the image is there: %+v, %v", plan, err)
	}
	spec.Disks[0].SizeBytes = h.Image.SizeBytes - 512
	if _, err := d.Plan(t.Context(), spec); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("plan of a root disk smaller than the image that will be: %v, want ErrInvalid", err)
	}
	if left := h.Left(t); len(left) > 0 {
		t.Errorf("left of a plan: %q", left)
	}
}

// owners leave each other alone.
func owners(t *testing.T, h Harness) {
	ours, theirs := h.ready(t, "ours"), h.driver(t, "theirs")
	if _, err := ours.Create(t.Context(), h.small("m-owned", "owned")); err != nil {
		t.Fatal(err)
	}
	if all, err := theirs.List(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("another owner sees %+v, %v", all, err)
	}
	if _, err := theirs.Get(t.Context(), "m-owned"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("another owner gets %v, want ErrNotFound", err)
	}
	if err := theirs.Delete(t.Context(), "m-owned"); err != nil {
		t.Errorf("another owner deletes: %v", err)
	}
	if _, err := ours.Get(t.Context(), "m-owned"); err != nil {
		t.Errorf("gone by another's hand: %v", err)
	}
}

// names can be what people write.
func names(t *testing.T, h Harness) {
	d := h.ready(t, "names")
	for i, name := range []string{`it's "web" & <db>`, "büro-日本", "$(reboot);`id`", strings.Repeat("n", 200), "*?[a]%"} {
		vm, err := d.Create(t.Context(), h.small(fmt.Sprintf("m-name%d", i), name))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got, err := d.Get(t.Context(), vm.ID); err != nil || got.Name != name {
			t.Errorf("%q became %q, %v", name, got.Name, err)
		}
	}
}

// notFound: what is not there.
func notFound(t *testing.T, h Harness) {
	d := h.driver(t, "nobody")
	if _, err := d.Get(t.Context(), "m-none"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if err := d.SetPower(t.Context(), "m-none", hypervisor.On, hypervisor.Graceful); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("power: %v", err)
	}
	if err := d.Delete(t.Context(), "m-none"); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := d.Create(t.Context(), h.small("m-none", "none")); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("create from an image that is not there: %v", err)
	}
	if left := h.Left(t); len(left) > 0 {
		t.Errorf("left at the host: %q", left)
	}
}

// refused: what can't be, before anything is made.
func refused(t *testing.T, h Harness) {
	d := h.ready(t, "refused")
	before := h.Left(t)
	for want, change := range map[string]func(*hypervisor.Spec){
		"smaller than the image": func(s *hypervisor.Spec) { s.Disks[0].SizeBytes = h.Image.SizeBytes - 512 },
		"CPUs":                   func(s *hypervisor.Spec) { s.CPUs = 0 },
	} {
		spec := h.small("m-refused", "refused")
		change(&spec)
		if _, err := d.Create(t.Context(), spec); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
		if _, err := d.Plan(t.Context(), spec); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: plan: got %v", want, err)
		}
	}
	plan, err := d.Plan(t.Context(), h.small("m-refused", "refused"))
	if err != nil || len(plan.Steps) == 0 || plan.Request == "" || plan.Clone == "" {
		t.Errorf("plan %+v, %v", plan, err)
	}
	if diff := cmp.Diff(before, h.Left(t)); diff != "" {
		t.Errorf("left at the host (-before +after):\n%s", diff)
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
