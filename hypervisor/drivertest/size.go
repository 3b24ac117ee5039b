package drivertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"ingot/hypervisor"
	"ingot/inventory"
)

// contexts: a call whose context has ended, or ends under way, returns soon, and what it
// left can be finished or deleted.
func contexts(t *testing.T, h Harness) {
	d := h.ready(t, "contexts")
	before := h.Left(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func(context.Context) error{
		"check":  func(ctx context.Context) error { _, err := d.Check(ctx); return err },
		"images": func(ctx context.Context) error { _, err := d.Images(ctx); return err },
		"ensure": func(ctx context.Context) error { return d.EnsureImage(ctx, h.Image, nil) },
		"create": func(ctx context.Context) error { _, err := d.Create(ctx, h.small("m-ended", "ended")); return err },
		"get":    func(ctx context.Context) error { _, err := d.Get(ctx, "m-ended"); return err },
		"list":   func(ctx context.Context) error { _, err := d.List(ctx); return err },
		"power":  func(ctx context.Context) error { return d.SetPower(ctx, "m-ended", hypervisor.On, hypervisor.Force) },
		"delete": func(ctx context.Context) error { return d.Delete(ctx, "m-ended") },
	} {
		start := time.Now()
		if err := call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want the context's error", name, err)
		}
		if took := time.Since(start); took > h.Soon {
			t.Errorf("%s took %s after its context ended", name, took)
		}
	}
	for limit := time.Millisecond; limit < 20*time.Second; limit *= 4 {
		short, cancel := context.WithTimeout(t.Context(), limit)
		start := time.Now()
		_, err := d.Create(short, h.small("m-short", "short"))
		cancel()
		if took := time.Since(start); took > limit+h.Soon {
			t.Errorf("create took %s, its time was %s", took, limit)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("create with %s: %v", limit, err)
		}
	}
	if err := d.Delete(t.Context(), "m-short"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, h.Left(t)); diff != "" {
		t.Errorf("left at the host (-before +after):\n%s", diff)
	}
}

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
	if err := s.RevertSnapshot(t.Context(), spec.ID, "before"); err != nil {
		t.Errorf("revert: %v", err)
	}
	if vm, err := d.Get(t.Context(), spec.ID); err != nil || vm.Power != hypervisor.Off {
		t.Errorf("after a revert the machine is %q, %v; want off", vm.Power, err)
	}
	if err := s.RevertSnapshot(t.Context(), spec.ID, "never made"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("revert to what is not there: %v", err)
	}
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

// size: disks grow and never shrink; CPUs and memory change when off.
func size(t *testing.T, h Harness) {
	d := h.ready(t, "size")
	r, ok := d.(hypervisor.Resizer)
	if !ok {
		t.Log("no resizing here")
		return
	}
	spec := h.small("m-size", "size")
	spec.Disks[0].SizeBytes = h.Image.SizeBytes + 16<<20
	vm, err := d.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if vm.Disks[0].SizeBytes != spec.Disks[0].SizeBytes {
		t.Errorf("root disk of %d bytes, asked for %d", vm.Disks[0].SizeBytes, spec.Disks[0].SizeBytes)
	}
	larger := spec.Disks[0].SizeBytes + 16<<20
	for range 2 {
		if err := r.GrowDisk(t.Context(), spec.ID, 0, larger); err != nil {
			t.Errorf("grow: %v", err)
		}
	}
	if err := r.GrowDisk(t.Context(), spec.ID, 0, larger-512); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("shrink: got %v, want ErrInvalid", err)
	}
	if err := r.GrowDisk(t.Context(), spec.ID, 7, larger); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("grow a disk that is not there: %v", err)
	}
	if err := r.SetSize(t.Context(), spec.ID, 2, 128<<20); err != nil {
		t.Errorf("set size: %v", err)
	}
	if vm, err = d.Get(t.Context(), spec.ID); err != nil || vm.Disks[0].SizeBytes != larger || vm.CPUs != 2 || vm.MemoryBytes != 128<<20 {
		t.Errorf("after growing %+v, %v", vm, err)
	}
	if err := d.SetPower(t.Context(), spec.ID, hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	if err := r.SetSize(t.Context(), spec.ID, 1, 64<<20); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("set size of a running machine: got %v, want ErrBusy", err)
	}
	if !d.Capabilities().GrowRunning {
		return
	}
	if err := r.GrowDisk(t.Context(), spec.ID, 0, larger+16<<20); err != nil {
		t.Errorf("grow the disk of a running machine: %v", err)
	}
	if err := r.GrowDisk(t.Context(), spec.ID, 0, larger); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("shrink the disk of a running machine: got %v, want ErrInvalid", err)
	}
}
