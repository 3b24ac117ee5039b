package fleet

import (
	"context"
	"errors"
	"fmt"

	"ingot/hypervisor"
	"ingot/inventory"
)

const testSnapshot = "ingot-selftest"

// snapshots are the steps of what keeps states.
func (t *selfTest) snapshots(s hypervisor.Snapshotter) []testStep {
	quiet := func(err error) (string, error) { return "", err }
	return []testStep{
		{what: "keep a snapshot", do: func(ctx context.Context) (string, error) {
			return quiet(s.CreateSnapshot(ctx, t.spec.ID, testSnapshot))
		}},
		{what: "find the snapshot", do: func(ctx context.Context) (string, error) {
			all, err := s.Snapshots(ctx, t.spec.ID)
			if err == nil && (len(all) != 1 || all[0].Name != testSnapshot) {
				err = fmt.Errorf("snapshots: %+v", all)
			}
			return quiet(err)
		}},
		{what: "go back to it", do: func(ctx context.Context) (string, error) {
			return quiet(s.RevertSnapshot(ctx, t.spec.ID, testSnapshot))
		}},
		{what: "forget it", do: func(ctx context.Context) (string, error) {
			return quiet(s.DeleteSnapshot(ctx, t.spec.ID, testSnapshot))
		}},
	}
}

// resizes are the steps of what changes sizes.
func (t *selfTest) resizes(r hypervisor.Resizer) []testStep {
	var want int64 // of the disk
	return []testStep{
		{what: "give it more memory", do: func(ctx context.Context) (string, error) {
			return "", r.SetSize(ctx, t.spec.ID, t.spec.CPUs, 2*testMemoryBytes)
		}},
		{what: "grow its disk", do: func(ctx context.Context) (string, error) {
			vm, err := t.driver.Get(ctx, t.spec.ID)
			if err != nil {
				return "", err
			}
			want = grown(vm.Disks[0].SizeBytes)
			detail, err := notHere(r.GrowDisk(ctx, t.spec.ID, 0, want))
			if detail != "" {
				want = vm.Disks[0].SizeBytes
			}
			return detail, err
		}},
		{what: "see both", do: func(ctx context.Context) (string, error) {
			vm, err := t.driver.Get(ctx, t.spec.ID)
			if err != nil {
				return "", err
			}
			detail := fmt.Sprintf("%d MiB of memory, disk of %s", vm.MemoryBytes>>20, inventory.FormatBytes(vm.Disks[0].SizeBytes))
			if vm.MemoryBytes != 2*testMemoryBytes || vm.Disks[0].SizeBytes != want {
				return detail, fmt.Errorf("it has %s, want %d MiB and %s", detail, 2*testMemoryBytes>>20, inventory.FormatBytes(want))
			}
			return detail, nil
		}},
	}
}

// notHere lets a refusal pass that is the host's way: linked clones of vSphere don't grow.
func notHere(err error) (string, error) {
	if errors.Is(err, inventory.ErrUnsupported) {
		return "it can't: " + err.Error(), nil
	}
	return "", err
}

// grown is a larger size, of whole MiB, which every host takes.
func grown(size int64) int64 { return (size + testDiskBytes) >> 20 << 20 }
