package fleet_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ingot/hypervisor"
	"ingot/hypervisor/fleet"
	"ingot/inventory"
)

// foundling is a host with one machine of nobody's. It says that adopting it failed.
type foundling struct {
	*memoryDriver
	// marks: it was adopted all the same, and the answer was lost.
	marks bool
	id    string
}

var errLost = errors.New("the answer was lost")

func (d *foundling) Foreign(context.Context) ([]hypervisor.VM, error) {
	return []hypervisor.VM{{UUID: "u-1", Name: "old", CPUs: 1, MemoryBytes: 64 << 20, Disks: []hypervisor.VMDisk{{SizeBytes: 1 << 30}}}}, nil
}

func (d *foundling) Adopt(_ context.Context, _, id string) (hypervisor.VM, error) {
	if d.marks {
		d.id = id
	}
	return hypervisor.VM{}, errLost
}

func (d *foundling) Get(_ context.Context, id string) (hypervisor.VM, error) {
	if id != d.id {
		return hypervisor.VM{}, inventory.NotFound("machine", id)
	}
	return hypervisor.VM{ID: id}, nil
}

// A machine that was adopted stays in the inventory, whatever became of the answer; one
// that was not does not.
func TestAdoptWithoutAnswer(t *testing.T) {
	w := newWorld(t, "kvm1")
	for _, marks := range []bool{false, true} {
		d := &foundling{memoryDriver: &memoryDriver{w.hosts["kvm1"], "here"}, marks: marks}
		f := fleet.New(fleet.Config{Store: w.store, Now: time.Now, Unseal: func(_ string, sealed []byte) ([]byte, error) { return sealed, nil },
			Open: func(context.Context, inventory.Host, []byte) (hypervisor.Driver, error) { return d, nil }})
		m, err := f.Adopt(t.Context(), "kvm1", "old", "old")
		if marks != (err == nil) || err != nil && !errors.Is(err, errLost) || marks && m.ID != d.id {
			t.Errorf("marked %v: %+v, %v", marks, m, err)
		}
		err = w.store.View(t.Context(), func(x inventory.Tx) error {
			_, err := x.Machine(t.Context(), "old")
			return err
		})
		if marks != (err == nil) {
			t.Errorf("marked %v: in the inventory: %v", marks, err)
		}
	}
}
