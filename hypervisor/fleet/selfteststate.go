package fleet

import (
	"context"
	"fmt"

	"ingot/hypervisor"
	"ingot/inventory"
)

const testSnapshot = "ingot-selftest"

// snapshots are the steps of what keeps states.
func (t *selfTest) snapshots(s hypervisor.Snapshotter) []testStep {
	quiet := func(err error) (string, error) { return "", err }
	return []testStep{
		{"keep a snapshot", func(ctx context.Context) (string, error) {
			return quiet(s.CreateSnapshot(ctx, t.spec.ID, testSnapshot))
		}},
		{"find the snapshot", func(ctx context.Context) (string, error) {
			all, err := s.Snapshots(ctx, t.spec.ID)
			if err == nil && (len(all) != 1 || all[0].Name != testSnapshot) {
				err = fmt.Errorf("snapshots: %+v", all)
			}
			return quiet(err)
		}},
		{"go back to it", func(ctx context.Context) (string, error) {
			return quiet(s.RevertSnapshot(ctx, t.spec.ID, testSnapshot))
		}},
		{"forget it", func(ctx context.Context) (string, error) {
			return quiet(s.DeleteSnapshot(ctx, t.spec.ID, testSnapshot))
		}},
	}
}

// resizes are the steps of what changes sizes.
func (t *selfTest) resizes(r hypervisor.Resizer) []testStep {
	return []testStep{
		{"give it more memory", func(ctx context.Context) (string, error) {
			return "", r.SetSize(ctx, t.spec.ID, t.spec.CPUs, 2*testMemoryBytes)
		}},
		{"grow its disk", func(ctx context.Context) (string, error) {
			vm, err := t.driver.Get(ctx, t.spec.ID)
			if err != nil {
				return "", err
			}
			return "", r.GrowDisk(ctx, t.spec.ID, 0, vm.Disks[0].SizeBytes+testDiskBytes)
		}},
		{"see both", func(ctx context.Context) (string, error) {
			vm, err := t.driver.Get(ctx, t.spec.ID)
			if err != nil {
				return "", err
			}
			detail := fmt.Sprintf("%s of memory, disk of %s", inventory.FormatBytes(vm.MemoryBytes), inventory.FormatBytes(vm.Disks[0].SizeBytes))
			if vm.MemoryBytes != 2*testMemoryBytes {
				return detail, fmt.Errorf("want %s of memory", inventory.FormatBytes(2*testMemoryBytes))
			}
			return detail, nil
		}},
	}
}
