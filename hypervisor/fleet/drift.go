package fleet

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ingot/hypervisor"
	"ingot/inventory"
)

// Difference is a field in which a machine at its host is not as the inventory wants it.
type Difference struct{ Field, Want, Have string }

// Drift compares a machine with what its host has; a machine that is gone is one
// difference.
func (f *Fleet) Drift(ctx context.Context, m *inventory.Machine) ([]Difference, error) {
	c, err := f.made(ctx, m)
	if err != nil {
		return nil, err
	}
	vm, err := c.driver.Get(ctx, m.ID)
	if errors.Is(err, inventory.ErrNotFound) {
		return []Difference{{"machine", "made", "gone"}}, nil
	}
	if err != nil {
		return nil, err
	}
	return Compare(m, vm), nil
}

// Compare lists the differences between what is wanted and what is there.
func Compare(m *inventory.Machine, vm hypervisor.VM) []Difference {
	var out []Difference
	differ := func(field, want, have string) {
		if want != have {
			out = append(out, Difference{field, want, have})
		}
	}
	v := m.Spec.VM
	differ("cpus", fmt.Sprint(v.CPUs), fmt.Sprint(vm.CPUs))
	differ("memory", inventory.FormatBytes(v.MemoryBytes), inventory.FormatBytes(vm.MemoryBytes))
	if v.Firmware != "" {
		differ("firmware", string(v.Firmware), string(vm.Firmware))
	}
	differ("secure boot", onOff(v.SecureBoot), onOff(vm.SecureBoot))
	differ("tpm", onOff(v.TPM), onOff(vm.TPM))
	differ("disks", diskTexts(v.DiskBytes, vm.Disks), haveDisks(vm.Disks))
	differ("nics", wantNICs(v.NICs), haveNICs(vm.NICs))
	return out
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// diskTexts takes the size that is there where the image's own was asked for.
func diskTexts(want []int64, have []hypervisor.VMDisk) string {
	var out []string
	for i, size := range want {
		if size == 0 && i < len(have) {
			size = have[i].SizeBytes
		}
		out = append(out, inventory.FormatBytes(size))
	}
	return strings.Join(out, ", ")
}

func haveDisks(disks []hypervisor.VMDisk) string {
	var out []string
	for _, d := range disks {
		out = append(out, inventory.FormatBytes(d.SizeBytes))
	}
	return strings.Join(out, ", ")
}

func wantNICs(nics []inventory.VMNIC) string {
	var out []string
	for _, n := range nics {
		out = append(out, string(n.MAC))
	}
	return strings.Join(out, ", ")
}

func haveNICs(nics []hypervisor.VMNIC) string {
	var out []string
	for _, n := range nics {
		out = append(out, string(n.MAC))
	}
	return strings.Join(out, ", ")
}
