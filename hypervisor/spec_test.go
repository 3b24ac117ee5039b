package hypervisor_test

import (
	"errors"
	"strings"
	"testing"

	"ingot/hypervisor"
	"ingot/inventory"
)

func TestSpecCheck(t *testing.T) {
	good := func() hypervisor.Spec {
		return hypervisor.Spec{ID: "m-1", Name: `web "1" ü`, CPUs: 1, MemoryBytes: 64 << 20, Image: "sha256:0",
			Disks: []hypervisor.DiskSpec{{}, {SizeBytes: 1 << 30}}, NICs: []hypervisor.NICSpec{{MAC: "52:54:00:00:00:01"}}}
	}
	if err := good().Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*hypervisor.Spec){
		"without ID":     func(s *hypervisor.Spec) { s.ID = "" },
		"machine name":   func(s *hypervisor.Spec) { s.Name = strings.Repeat("ü", 201) },
		"no control":     func(s *hypervisor.Spec) { s.Name = "a\nb" },
		"0 CPUs":         func(s *hypervisor.Spec) { s.CPUs = 0 },
		"memory of":      func(s *hypervisor.Spec) { s.MemoryBytes = 64<<20 + 1 },
		"no disk":        func(s *hypervisor.Spec) { s.Disks = nil },
		"disk 1 of 0":    func(s *hypervisor.Spec) { s.Disks[1].SizeBytes = 0 },
		"disk 0 of 0":    func(s *hypervisor.Spec) { s.Image = "" },
		"disk 0 of 1000": func(s *hypervisor.Spec) { s.Disks[0].SizeBytes = 1000 },
		"needs UEFI":     func(s *hypervisor.Spec) { s.SecureBoot, s.Firmware = true, inventory.FirmwareBIOS },
		"NIC 1":          func(s *hypervisor.Spec) { s.NICs = append(s.NICs, s.NICs[0]) },
		"VLAN 4095":      func(s *hypervisor.Spec) { s.NICs[0].VLAN = 4095 },
	} {
		s := good()
		change(&s)
		if err := s.Check(); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrInvalid about %q", err, want)
		}
	}
}

func TestImageMode(t *testing.T) {
	both := hypervisor.Image{Name: "both", BootModes: []string{"bios", "uefi"}}
	for _, test := range []struct {
		image      hypervisor.Image
		asked      inventory.FirmwareMode
		secureBoot bool
		want       inventory.FirmwareMode
		fails      string
	}{
		{both, "", false, inventory.FirmwareUEFI, ""},
		{both, inventory.FirmwareBIOS, false, inventory.FirmwareBIOS, ""},
		{both, inventory.FirmwareUEFI, true, "", "not with Secure Boot"},
		{hypervisor.Image{Name: "old", BootModes: []string{"bios"}}, "", false, inventory.FirmwareBIOS, ""},
		{hypervisor.Image{Name: "old", BootModes: []string{"bios"}}, inventory.FirmwareUEFI, false, "", "not in uefi"},
		{hypervisor.Image{Name: "unknown"}, inventory.FirmwareUEFI, true, inventory.FirmwareUEFI, ""},
	} {
		got, err := test.image.Mode(test.asked, test.secureBoot)
		if got != test.want || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s in %q: got %q, %v", test.image.Name, test.asked, got, err)
		}
	}
}

func TestUUID(t *testing.T) {
	a, b := hypervisor.UUID("here", "m-1"), hypervisor.UUID("there", "m-1")
	if a == b || len(a) != 36 || a[14] != '5' || !strings.ContainsRune("89ab", rune(a[19])) || a != hypervisor.UUID("here", "m-1") {
		t.Errorf("got %s and %s", a, b)
	}
}
