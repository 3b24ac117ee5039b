package drivertest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/inventory"
)

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
