package drivertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"ingot/hypervisor"
	"ingot/inventory"
)

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
