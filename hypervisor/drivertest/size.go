package drivertest

import (
	"errors"
	"testing"

	"ingot/hypervisor"
	"ingot/inventory"
)

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
	sizeRunning(t, d, r, spec.ID, larger)
}

// sizeRunning: CPUs and memory stay as they are, and a disk that grows does not shrink.
func sizeRunning(t *testing.T, d hypervisor.Driver, r hypervisor.Resizer, id string, sizeBytes int64) {
	t.Helper()
	if err := d.SetPower(t.Context(), id, hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	if err := r.SetSize(t.Context(), id, 1, 64<<20); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("set size of a running machine: got %v, want ErrBusy", err)
	}
	if !d.Capabilities().GrowRunning {
		return
	}
	if err := r.GrowDisk(t.Context(), id, 0, sizeBytes+16<<20); err != nil {
		t.Errorf("grow the disk of a running machine: %v", err)
	}
	if err := r.GrowDisk(t.Context(), id, 0, sizeBytes); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("shrink the disk of a running machine: got %v, want ErrInvalid", err)
	}
}
