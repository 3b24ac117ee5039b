package vsphere_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ingot/hypervisor"
	"ingot/hypervisor/vsphere"
	"ingot/hypervisor/vsphere/sim"
	"ingot/inventory"
)

// ready is a driver with the image at its server.
func ready(t *testing.T, s *sim.Server, owner string) *vsphere.Driver {
	t.Helper()
	d := open(t, s, owner)
	if err := d.EnsureImage(t.Context(), image(t), nil); err != nil {
		t.Fatalf("ensure image: %v", err)
	}
	return d
}

// machine is the least one, of the test's image.
func machine(id, name string) hypervisor.Spec {
	img, _ := theDigest()
	return hypervisor.Spec{ID: id, Name: name, CPUs: 1, MemoryBytes: 96 << 20, Image: img, Disks: []hypervisor.DiskSpec{{}},
		NICs: []hypervisor.NICSpec{{MAC: "52:54:00:00:00:01", Network: "VM Network"}}, Seed: bytes.Repeat([]byte("seed"), 4096)}
}

func TestThousandMachinesAreListedInThreeTrips(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 1,000 machines")
	}
	s := start(t, sim.Options{})
	d := open(t, s, "many")
	if err := s.Many(1000, "many"); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1000 {
		t.Errorf("%d machines listed", len(all))
	}
	if calls := s.Calls(); len(calls) > 3 {
		t.Errorf("%d round trips", len(calls))
	}
}

// A task that is held up is cancelled when its time is up, and leaves nothing that Delete
// does not take away.
func TestCancelledTasks(t *testing.T) {
	for _, esx := range []bool{false, true} {
		s := start(t, sim.Options{ESX: esx})
		d := ready(t, s, "cancel")
		before := left(t, s)
		for _, method := range []string{"CloneVM_Task", "CreateVM_Task", "CopyVirtualDisk_Task"} {
			s.Delay(method, time.Hour)
		}
		first := "CloneVM_Task"
		if esx {
			first = "CopyVirtualDisk_Task"
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { _, err := d.Create(ctx, machine("m-1", "one")); ended <- err }()
		await(t, s, first, 1)
		began := time.Now()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(began) > 4*time.Second {
			t.Errorf("ESXi %v: got %v after %s", esx, err, time.Since(began))
		}
		if n := count(s, "CancelTask"); n != 1 {
			t.Errorf("ESXi %v: %d tasks cancelled", esx, n)
		}
		if err := d.Delete(t.Context(), "m-1"); err != nil {
			t.Errorf("ESXi %v: delete: %v", esx, err)
		}
		if diff := cmp.Diff(before, left(t, s)); diff != "" {
			t.Errorf("ESXi %v: left (-before +after):\n%s", esx, diff)
		}
	}
}

func TestPower(t *testing.T) {
	s := start(t, sim.Options{})
	d := ready(t, s, "power")
	vm, err := d.Create(t.Context(), machine("m-1", "one"))
	if err != nil {
		t.Fatal(err)
	}
	s.Ask(vm.UUID, "I moved it or I copied it?")
	s.Delay("PowerOnVM_Task", time.Hour)
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Force); !errors.Is(err, inventory.ErrBusy) || !strings.Contains(err.Error(), "I moved it or I copied it?") {
		t.Errorf("a question: %v", err)
	}
	s.Ask(vm.UUID, "")
	s.Delay("PowerOnVM_Task", 0)
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.On, hypervisor.Force); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.Off, hypervisor.Graceful); !errors.Is(err, inventory.ErrUnsupported) || !strings.Contains(err.Error(), "guest tools") {
		t.Errorf("shut down without tools: %v", err)
	}
	s.SetTools(vm.UUID, true)
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.Off, hypervisor.Graceful); err != nil {
		t.Errorf("shut down: %v", err)
	}
	if got, err := d.Get(t.Context(), vm.ID); err != nil || got.Power != hypervisor.Off {
		t.Errorf("power is %s, %v", got.Power, err)
	}
	if err := d.SetPower(t.Context(), vm.ID, hypervisor.Paused, hypervisor.Force); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("pause: %v", err)
	}
}

func TestFirmware(t *testing.T) {
	s := start(t, sim.Options{})
	if err := s.AddKeyProvider("keys"); err != nil {
		t.Fatal(err)
	}
	d := ready(t, s, "firmware")
	if !d.Capabilities().TPM {
		t.Error("a key provider is not seen")
	}
	secure := machine("m-secure", "secure")
	secure.Firmware, secure.SecureBoot, secure.TPM = inventory.FirmwareUEFI, true, true
	bios := machine("m-bios", "bios")
	bios.Firmware = inventory.FirmwareBIOS
	grown := machine("m-grown", "grown")
	grown.Disks[0].SizeBytes = imageBytes + 1<<20
	for _, test := range []struct {
		spec        hypervisor.Spec
		firmware    inventory.FirmwareMode
		secure, tpm bool
		clone       hypervisor.CloneKind
	}{
		{secure, inventory.FirmwareUEFI, true, true, hypervisor.LinkedClone},
		{bios, inventory.FirmwareBIOS, false, false, hypervisor.LinkedClone},
		{grown, inventory.FirmwareUEFI, false, false, hypervisor.FullCopy},
	} {
		plan, err := d.Plan(t.Context(), test.spec)
		if err != nil || plan.Clone != test.clone || (plan.Why == "") != (test.clone == hypervisor.LinkedClone) {
			t.Errorf("%s: plan %+v, %v", test.spec.ID, plan, err)
		}
		vm, err := d.Create(t.Context(), test.spec)
		if err != nil {
			t.Errorf("%s: %v", test.spec.ID, err)
			continue
		}
		if vm.Firmware != test.firmware || vm.SecureBoot != test.secure || vm.TPM != test.tpm || vm.Clone != test.clone || len(vm.Disks) != 1 {
			t.Errorf("made %+v", vm)
		}
	}
}

func TestAdopt(t *testing.T) {
	s := start(t, sim.Options{Machines: 2})
	d, other := open(t, s, "ours"), open(t, s, "theirs")
	foreign, err := d.Foreign(t.Context())
	if err != nil || len(foreign) != 4 {
		t.Fatalf("%d foreign machines, %v", len(foreign), err)
	}
	uuid := foreign[0].UUID
	for range 2 {
		vm, err := d.Adopt(t.Context(), uuid, "m-adopted")
		if err != nil || vm.ID != "m-adopted" || vm.UUID != uuid || vm.Name != foreign[0].Name {
			t.Errorf("adopted %+v, %v", vm, err)
		}
	}
	if _, err := other.Adopt(t.Context(), uuid, "m-stolen"); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("adopted twice: %v", err)
	}
	if _, err := d.Adopt(t.Context(), foreign[1].UUID, "m-adopted"); !errors.Is(err, inventory.ErrConflict) {
		t.Errorf("an ID twice: %v", err)
	}
	if _, err := d.Adopt(t.Context(), hypervisor.UUID("no", "body"), "m-none"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("nobody adopted: %v", err)
	}
	if err := d.SetPower(t.Context(), "m-adopted", hypervisor.On, hypervisor.Force); err != nil {
		t.Error(err)
	}
	if left, err := d.Foreign(t.Context()); err != nil || len(left) != 3 {
		t.Errorf("%d foreign machines after, %v", len(left), err)
	}
}
