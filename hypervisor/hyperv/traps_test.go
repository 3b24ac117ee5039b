package hyperv_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/hypervisor/hyperv"
	"ingot/hypervisor/hyperv/sim"
	"ingot/inventory"
)

// What can't be is refused before anything is made, or leaves nothing that Delete does not
// take away.
func TestRefusedSpecs(t *testing.T) {
	h := sim.New(sim.Options{Switches: []string{"One", "Two"}})
	d := ready(t, h, "refused")
	before := h.Left()
	for want, test := range map[string]struct {
		class  error
		change func(*hypervisor.Spec)
	}{
		"multiple of 2 MiB":      {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.MemoryBytes = 65 << 20 }},
		"at least 32":            {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.MemoryBytes = 16 << 20 }},
		"disk 1: 8389120 bytes":  {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.Disks = append(s.Disks, hypervisor.DiskSpec{SizeBytes: 8<<20 + 512}) }},
		"from 3 MiB":             {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.Disks = append(s.Disks, hypervisor.DiskSpec{SizeBytes: 2 << 20}) }},
		"smaller than the image": {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.Disks[0].SizeBytes = imageBytes - 4096 }},
		"want at most 63": {inventory.ErrInvalid, func(s *hypervisor.Spec) {
			s.Disks = append(s.Disks, slices.Repeat([]hypervisor.DiskSpec{{SizeBytes: 4 << 20}}, 63)...)
		}},
		"want at most 8":              {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.NICs = nics(9) }},
		"gives at most 64":            {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.CPUs, s.Firmware = 65, inventory.FirmwareBIOS }},
		"machines with UEFI only":     {inventory.ErrUnsupported, func(s *hypervisor.Spec) { s.TPM, s.Firmware = true, inventory.FirmwareBIOS }},
		`no virtual switch "nowhere"`: {inventory.ErrNotFound, func(s *hypervisor.Spec) { s.NICs[0].Network = "nowhere" }},
		"which virtual switch? there": {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.NICs[0].Network = "" }},
		`image "sha256:none"`:         {inventory.ErrNotFound, func(s *hypervisor.Spec) { s.Image = "sha256:none" }},
		"number of processors is out": {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.CPUs = 9 }},
		"is too large when packed":    {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.Seed = noise(4 << 20) }},
		"root disk: 4194816 bytes":    {inventory.ErrInvalid, func(s *hypervisor.Spec) { s.Disks[0].SizeBytes = imageBytes + 512 }},
	} {
		s := spec("m-1", "one")
		s.NICs[0].Network = "One"
		test.change(&s)
		if _, err := d.Create(t.Context(), s); !errors.Is(err, test.class) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err := d.Delete(t.Context(), s.ID); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(before, h.Left()); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

func nics(n int) []hypervisor.NICSpec {
	var all []hypervisor.NICSpec
	for i := range n {
		all = append(all, hypervisor.NICSpec{Network: "One", MAC: inventory.MAC(fmt.Sprintf("52:54:00:00:01:%02x", i))})
	}
	return all
}

// noise can't be packed.
func noise(n int) []byte {
	data, x := make([]byte, n), uint64(88172645463325252)
	for i := range data {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[i] = byte(x)
	}
	return data
}

func TestFirmware(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "firmware")
	secure, plain, bios, grown := spec("m-secure", "secure"), spec("m-plain", "plain"), spec("m-bios", "bios"), spec("m-grown", "grown")
	secure.SecureBoot, secure.TPM = true, true
	bios.Firmware = inventory.FirmwareBIOS
	grown.Disks = []hypervisor.DiskSpec{{SizeBytes: imageBytes + 1<<20}, {SizeBytes: 8 << 20}}
	grown.Seed, grown.NICs[0].VLAN = []byte("seed"), 42
	for _, test := range []struct {
		spec        hypervisor.Spec
		firmware    inventory.FirmwareMode
		secure, tpm bool
	}{{secure, inventory.FirmwareUEFI, true, true}, {plain, inventory.FirmwareUEFI, false, false}, {bios, inventory.FirmwareBIOS, false, false}, {grown, inventory.FirmwareUEFI, false, false}} {
		vm := create(t, d, test.spec)
		if vm.Firmware != test.firmware || vm.SecureBoot != test.secure || vm.TPM != test.tpm || vm.Clone != hypervisor.LinkedClone || len(vm.Disks) != len(test.spec.Disks) ||
			vm.NICs[0].VLAN != test.spec.NICs[0].VLAN || vm.NICs[0].Network != "Internal" {
			t.Errorf("%s: made %+v", test.spec.ID, vm)
		}
		if want := max(test.spec.Disks[0].SizeBytes, imageBytes); vm.Disks[0].SizeBytes != want {
			t.Errorf("%s: root disk of %d bytes, want %d", test.spec.ID, vm.Disks[0].SizeBytes, want)
		}
		if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful); err != nil {
			t.Fatal(err)
		}
		if !h.Booted(vm.UUID) {
			t.Errorf("%s: Linux does not boot with this firmware", vm.ID)
		}
	}
}

// What people and time do to a host is told as what it is.
func TestHostTraps(t *testing.T) {
	for name, test := range map[string]struct {
		options sim.Options
		do      func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error
		class   error
		want    string
	}{
		"no memory": {sim.Options{MemoryBytes: 32 << 20}, func(_ *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			return d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful)
		}, inventory.ErrBusy, "OutOfMemory,"},
		"image changed under its clones": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.Touch(imagePath())
			return d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful)
		}, inventory.ErrConflict, "0xC03A000E"},
		"image gone under its clones": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.Remove(imagePath())
			return d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful)
		}, inventory.ErrNotFound, "0xC03A000D"},
		"sparse disk": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.SetSparse(vm.Disks[0].Path)
			return d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful)
		}, inventory.ErrUnsupported, "sparse, compressed or encrypted"},
		"compressed storage": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, _ hypervisor.VM) error {
			h.Squeeze()
			_, err := d.Create(t.Context(), spec("m-2", "two"))
			return err
		}, inventory.ErrUnsupported, "compact /u"},
		"read-only storage": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, _ hypervisor.VM) error {
			h.Lock()
			_, err := d.Create(t.Context(), spec("m-2", "two"))
			return err
		}, inventory.ErrDenied, "UnauthorizedAccessException"},
		"saved state blocks changes": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.SetState(vm.UUID, "Saved")
			return d.SetSize(t.Context(), vm.ID, 2, 128<<20)
		}, inventory.ErrBusy, "not off (Saved)"},
		"saved guest is not asked": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.SetState(vm.UUID, "Saved")
			return d.SetPower(t.Context(), vm.ID, hypervisor.Off, hypervisor.Graceful)
		}, inventory.ErrBusy, "can't be asked"},
		"no integration services": {sim.Options{}, func(_ *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful); err != nil {
				return err
			}
			return d.SetPower(t.Context(), vm.ID, hypervisor.Off, hypervisor.Graceful)
		}, inventory.ErrUnsupported, "hyperv-daemons"},
		"growing with checkpoints": {sim.Options{}, func(_ *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			if err := d.CreateSnapshot(t.Context(), vm.ID, "kept"); err != nil {
				return err
			}
			return d.GrowDisk(t.Context(), vm.ID, 0, imageBytes+8<<20)
		}, inventory.ErrBusy, "has snapshots"},
		"growing by less than a sector": {sim.Options{}, func(_ *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			return d.GrowDisk(t.Context(), vm.ID, 0, imageBytes+512)
		}, inventory.ErrInvalid, "multiple of 4 KiB"},
		"growing a disk that is gone": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.Remove(vm.Disks[0].Path)
			return d.GrowDisk(t.Context(), vm.ID, 0, imageBytes+8<<20)
		}, inventory.ErrConflict, "can't be read"},
		"no rights": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.Deny(true)
			_, err := d.Get(t.Context(), vm.ID)
			return err
		}, inventory.ErrDenied, "AccessDenied,"},
		"no connection": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.Down(true)
			return d.Delete(t.Context(), vm.ID)
		}, sim.ErrCut, "connection"},
		"a copy beside a moved machine": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.Copy(h.Copy(vm.UUID))
			h.Unregister(vm.UUID)
			_, err := d.Get(t.Context(), vm.ID)
			return err
		}, inventory.ErrConflict, "take the line away from the copy"},
		"notes lost": {sim.Options{}, func(h *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			h.SetNotes(vm.UUID, "mine")
			_, err := d.Create(t.Context(), spec("m-1", "one"))
			return err
		}, inventory.ErrConflict, `ingot: {"owner":"traps","id":"m-1","state":"made"}`},
		"power it can't have": {sim.Options{}, func(_ *sim.Host, d *hyperv.Driver, vm hypervisor.VM) error {
			return d.SetPower(t.Context(), vm.ID, hypervisor.Paused, hypervisor.Force)
		}, inventory.ErrInvalid, "want on or off"},
	} {
		t.Run(name, func(t *testing.T) {
			h := sim.New(test.options)
			d := ready(t, h, "traps")
			vm := create(t, d, spec("m-1", "one"))
			if err := test.do(h, d, vm); !errors.Is(err, test.class) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %v with %q", err, test.class, test.want)
			}
		})
	}
}

// An imported copy has the notes of its machine; the one in our folder is meant, and the
// copy is left alone.
func TestCopyIsLeftAlone(t *testing.T) {
	h := sim.New(sim.Options{})
	d := ready(t, h, "copy")
	vm := create(t, d, spec("m-1", "one"))
	copied := h.Copy(vm.UUID)
	if got, err := d.Get(t.Context(), "m-1"); err != nil || got.UUID != vm.UUID {
		t.Errorf("got %s, %v; want %s", got.UUID, err, vm.UUID)
	}
	if all, err := d.List(t.Context()); err != nil || len(all) != 1 || all[0].UUID != vm.UUID {
		t.Errorf("list %+v, %v", all, err)
	}
	if err := d.Delete(t.Context(), "m-1"); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(h.Left(), func(s string) bool { return strings.HasSuffix(s, copied) }) {
		t.Errorf("the copy is gone: %q", h.Left())
	}
}

// On Windows for desktops a new machine would take a checkpoint at each start.
func TestNoAutomaticCheckpoints(t *testing.T) {
	h := sim.New(sim.Options{Client: true})
	d := ready(t, h, "client")
	vm := create(t, d, spec("m-1", "one"))
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	if all, err := d.Snapshots(t.Context(), vm.ID); err != nil || len(all) > 0 {
		t.Errorf("checkpoints %+v, %v", all, err)
	}
}
