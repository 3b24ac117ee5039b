package fleet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/hypervisor/fleet"
	"ingot/inventory"
)

func TestCompare(t *testing.T) {
	m := &inventory.Machine{Name: "web", Spec: inventory.Spec{VM: &inventory.VMSpec{CPUs: 2, MemoryBytes: 1 << 30, DiskBytes: []int64{0, 8e9},
		NICs: []inventory.VMNIC{{MAC: "52:54:00:00:00:01"}}, Firmware: inventory.FirmwareUEFI, SecureBoot: true}}}
	same := func() hypervisor.VM {
		return hypervisor.VM{CPUs: 2, MemoryBytes: 1 << 30, Firmware: inventory.FirmwareUEFI, SecureBoot: true,
			Disks: []hypervisor.VMDisk{{SizeBytes: 2e9}, {SizeBytes: 8e9}}, NICs: []hypervisor.VMNIC{{MAC: "52:54:00:00:00:01"}}}
	}
	for name, c := range map[string]struct {
		change func(*hypervisor.VM)
		want   []fleet.Difference
	}{
		"the same":      {func(*hypervisor.VM) {}, nil},
		"cpus":          {func(v *hypervisor.VM) { v.CPUs = 4 }, []fleet.Difference{{Field: "cpus", Want: "2", Have: "4"}}},
		"memory":        {func(v *hypervisor.VM) { v.MemoryBytes = 2 << 30 }, []fleet.Difference{{Field: "memory", Want: "1.07 GB", Have: "2.15 GB"}}},
		"firmware":      {func(v *hypervisor.VM) { v.Firmware = "bios" }, []fleet.Difference{{Field: "firmware", Want: "uefi", Have: "bios"}}},
		"switches":      {func(v *hypervisor.VM) { v.SecureBoot, v.TPM = false, true }, []fleet.Difference{{Field: "secure boot", Want: "on", Have: "off"}, {Field: "tpm", Want: "off", Have: "on"}}},
		"a disk grew":   {func(v *hypervisor.VM) { v.Disks[1].SizeBytes = 9e9 }, []fleet.Difference{{Field: "disks", Want: "2.00 GB, 8.00 GB", Have: "2.00 GB, 9.00 GB"}}},
		"a disk is off": {func(v *hypervisor.VM) { v.Disks = v.Disks[:1] }, []fleet.Difference{{Field: "disks", Want: "2.00 GB, 8.00 GB", Have: "2.00 GB"}}},
		"a NIC is new": {func(v *hypervisor.VM) { v.NICs = append(v.NICs, hypervisor.VMNIC{MAC: "52:54:00:00:00:02"}) },
			[]fleet.Difference{{Field: "nics", Want: "52:54:00:00:00:01", Have: "52:54:00:00:00:01, 52:54:00:00:00:02"}}},
	} {
		vm := same()
		c.change(&vm)
		if diff := cmp.Diff(c.want, fleet.Compare(m, vm)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
