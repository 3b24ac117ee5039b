package vsphere_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere/sim"
	"ingot/inventory"
)

func TestRefusedSpecs(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "refused")
	before := left(t, s)
	for want, change := range map[string]func(*hypervisor.Spec){
		"multiple of 4 MiB":    func(s *hypervisor.Spec) { s.MemoryBytes = 65 << 20 },
		"disk 1 of 1536 bytes": func(s *hypervisor.Spec) { s.Disks = append(s.Disks, hypervisor.DiskSpec{SizeBytes: 1536}) },
		"root disk of 4195840": func(s *hypervisor.Spec) { s.Disks[0].SizeBytes = imageBytes + 1536 },
		"at least 96 MiB":      func(s *hypervisor.Spec) { s.MemoryBytes = 64 << 20 },
		"want at most 10": func(s *hypervisor.Spec) {
			for i := range 10 {
				s.NICs = append(s.NICs, hypervisor.NICSpec{MAC: inventory.MAC(fmt.Sprintf("52:54:00:00:01:%02x", i))})
			}
		},
		"keeps 00:50:56:40":        func(s *hypervisor.Spec) { s.NICs[0].MAC = "00:50:56:40:00:00" },
		"addresses it generates":   func(s *hypervisor.Spec) { s.NICs[0].MAC = "00:0c:29:00:00:01" },
		"needs a key provider":     func(s *hypervisor.Spec) { s.TPM = true },
		`no network "nowhere"`:     func(s *hypervisor.Spec) { s.NICs[0].Network = "nowhere" },
		"which network? There are": func(s *hypervisor.Spec) { s.NICs[0].Network = "" },
		"port group has the VLAN":  func(s *hypervisor.Spec) { s.NICs[0].VLAN = 7 },
		"want at most 14": func(s *hypervisor.Spec) {
			s.Disks = append(s.Disks, slices.Repeat([]hypervisor.DiskSpec{{SizeBytes: 1 << 20}}, 14)...)
		},
		`image "sha256:none"`:        func(s *hypervisor.Spec) { s.Image = "sha256:none" },
		"InvalidArgument configSpec": func(s *hypervisor.Spec) { s.CPUs = 200 },
	} {
		spec := machine("m-1", "one")
		change(&spec)
		if _, err := d.Create(t.Context(), spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err := d.Delete(t.Context(), spec.ID); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(before, left(t, s)); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

// A disk that stands on another one does not grow, and the error says why.
func TestGrowRefused(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "grow")
	spec := machine("m-1", "one")
	if _, err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if err := d.GrowDisk(t.Context(), spec.ID, 0, imageBytes+1<<20); !errors.Is(err, inventory.ErrUnsupported) || !strings.Contains(err.Error(), "linked clone") {
		t.Errorf("linked clone: %v", err)
	}
	full := machine("m-2", "two")
	full.Disks[0].SizeBytes = imageBytes + 1<<20
	if _, err := d.Create(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	if err := d.CreateSnapshot(t.Context(), full.ID, "kept"); err != nil {
		t.Fatal(err)
	}
	if err := d.GrowDisk(t.Context(), full.ID, 0, imageBytes+2<<20); !errors.Is(err, inventory.ErrUnsupported) || !strings.Contains(err.Error(), "snapshots") {
		t.Errorf("with a snapshot: %v", err)
	}
	if vm, err := d.Get(t.Context(), full.ID); err != nil || vm.Clone != hypervisor.FullCopy {
		t.Errorf("a full copy with a snapshot is %q, %v", vm.Clone, err)
	}
}
