package drivertest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
)

// faultsMax is more changing calls than any of the steps has.
const faultsMax = 60

// faults: whichever changing call fails, the step can be done again, and deleted whole.
func faults(t *testing.T, h Harness) {
	if h.Fail == nil {
		t.Log("this host can't be made to fail")
		return
	}
	d := h.ready(t, "faults")
	before := h.Left(t)
	spec := h.small("m-faults", "faults")
	create := func() error { _, err := d.Create(t.Context(), spec); return err }
	on := func() error { return d.SetPower(t.Context(), spec.ID, hypervisor.On, hypervisor.Graceful) }
	remove := func() error { return d.Delete(t.Context(), spec.ID) }
	none := func() error { return nil }
	for _, step := range []struct {
		name             string
		before, do, redo func() error
	}{{"create", none, create, create}, {"create, given up", none, create, none}, {"power on", create, on, on}, {"delete", create, remove, remove}} {
		for n := 1; ; n++ {
			if n > faultsMax {
				t.Fatalf("%s has more than %d changing calls", step.name, faultsMax)
			}
			if err := step.before(); err != nil {
				t.Fatalf("before %s: %v", step.name, err)
			}
			failed := h.Fail(t, n)
			err := step.do()
			hit := failed()
			if hit && err == nil && step.name != "delete" {
				t.Errorf("%s: call %d failed and nobody said so", step.name, n)
			}
			if err := step.redo(); err != nil {
				t.Errorf("%s again after call %d failed (%v): %v", step.name, n, err, err)
			}
			if err := remove(); err != nil {
				t.Errorf("delete after call %d of %s failed: %v", n, step.name, err)
			}
			if diff := cmp.Diff(before, h.Left(t)); diff != "" {
				t.Errorf("left after call %d of %s failed (-before +after):\n%s", n, step.name, diff)
			}
			if !hit {
				break
			}
		}
	}
}
