package hyperv_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

// Two machines in our folder that both say they are the one go together: the folder goes.
func TestDeleteTwins(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "twins")
	before := h.Left()
	vm := create(t, d, spec("m-1", "one"))
	h.CopyTo(vm.UUID, sim.VHDFolder+`\ingot\twins\m-1`)
	elsewhere := h.Copy(vm.UUID)
	if err := d.Delete(t.Context(), "m-1"); err != nil {
		t.Fatal(err)
	}
	h.Unregister(elsewhere)
	if diff := cmp.Diff(before, h.Left()); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

// A machine that was made in another storage than the one that is configured now leaves
// nothing there; what lies beside it does.
func TestDeleteAfterStorageChanged(t *testing.T) {
	h := sim.New(sim.Options{})
	c := config(t, h, "moved")
	c.Storage = `D:/Old/`
	d := opened(t, c)
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatal(err)
	}
	before := h.Left()
	s := spec("M 1", "one")
	s.Seed = []byte("seed")
	create(t, d, s)
	c.Storage = `E:\New`
	d = opened(t, c)
	if err := d.Delete(t.Context(), "M 1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, h.Left()); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

// A delete that disks are in the way of says so after a while.
func TestDeleteIsBusy(t *testing.T) {
	h := sim.New(sim.Options{Looks: 1 << 30})
	c := config(t, h, "busy")
	c.Patience = 20 * time.Millisecond
	d := opened(t, c)
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatal(err)
	}
	create(t, d, spec("m-1", "one"))
	if err := d.CreateSnapshot(t.Context(), "m-1", "kept"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := d.DeleteSnapshot(ctx, "m-1", "kept"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("delete snapshot: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Delete(t.Context(), "m-1") }()
	select {
	case err := <-ended:
		if !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "being merged") {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for ever")
	}
}
