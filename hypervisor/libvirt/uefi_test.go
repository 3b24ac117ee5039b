package libvirt

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

var update = flag.Bool("update", false, "write the golden files")

// secure is a machine with all there is.
func secure(image hypervisor.Image) hypervisor.Spec {
	s := spec("m-secure", `büro "1" & <web>`, image)
	s.Firmware, s.SecureBoot, s.TPM, s.Seed = inventory.FirmwareUEFI, true, true, []byte("seed")
	s.Disks = append(s.Disks, hypervisor.DiskSpec{SizeBytes: 8 << 20})
	s.MemoryBytes = 256 << 20
	return s
}

// TestXML compares the description of a machine with Secure Boot and a TPM.
func TestXML(t *testing.T) {
	b := build{spec: secure(hypervisor.Image{Digest: "sha256:00"}), uuid: hypervisor.UUID("golden", "m-secure"), kvm: true,
		identity: identity{ID: "m-secure", UUID: hypervisor.UUID("golden", "m-secure"), Owner: "golden", Name: `büro "1" & <web>`, Image: "sha256:00", Clone: hypervisor.LinkedClone, Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)},
		disks:    []string{"/pool/disk0.qcow2", "/pool/disk1.qcow2"}, seed: "/pool/seed.img", nvram: "/pool/nvram.fd", console: "/pool/console.log",
		nics: []libvirtxml.DomainInterface{{MAC: &libvirtxml.DomainInterfaceMAC{Address: "52:54:00:00:00:01"}, Model: &libvirtxml.DomainInterfaceModel{Type: "virtio"},
			Source: &libvirtxml.DomainInterfaceSource{Network: &libvirtxml.DomainInterfaceSourceNetwork{Network: "lab"}},
			VLan:   &libvirtxml.DomainInterfaceVLan{Tags: []libvirtxml.DomainInterfaceVLanTag{{ID: 7}}}}}}
	b.name = domainNames(b.spec.Name, b.uuid)[0]
	got, err := b.xml()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "secure.xml")
	if *update {
		if err := os.WriteFile(golden, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got+"\n"); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var back libvirtxml.Domain
	if err := back.Unmarshal(got); err != nil {
		t.Fatal(err)
	}
	if i, ok := identityOf(back); !ok || i.Name != b.identity.Name || i.Clone != b.identity.Clone || !i.Since.Equal(b.identity.Since) {
		t.Errorf("identity read back: %+v, %v", i, ok)
	}
}

// needFirmware skips where the host lacks UEFI, Secure Boot or a TPM.
func needFirmware(t *testing.T, d *Driver) {
	t.Helper()
	if c := d.Capabilities(); !c.UEFI || !c.SecureBoot || !c.TPM {
		t.Skipf("needs UEFI, Secure Boot and a TPM at the host (Debian: ovmf, swtpm, swtpm-tools); it has %+v", c)
	}
}

// TestSecureMachine: libvirt takes the description, starts it under emulation, and nothing
// is left of it.
func TestSecureMachine(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "secure")
	needFirmware(t, d)
	before := host.left(t)
	s := secure(image)
	vm, err := d.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if vm.Firmware != inventory.FirmwareUEFI || !vm.SecureBoot || !vm.TPM || len(vm.Disks) != 2 || vm.Name != s.Name {
		t.Errorf("made %+v", vm)
	}
	if err := d.SetPower(t.Context(), s.ID, hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	if vm, err := d.Get(t.Context(), s.ID); err != nil || vm.Power != hypervisor.On || !vm.SecureBoot || !vm.TPM || vm.MemoryBytes != 256<<20 {
		t.Errorf("running %+v, %v", vm, err)
	}
	if left := host.left(t); !slices.ContainsFunc(left, func(name string) bool { return strings.HasSuffix(name, "nvram.fd") }) {
		t.Errorf("the variables are not in the pool: %q", left)
	}
	if err := d.Delete(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, host.left(t)); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

// TestSnapshotKeepsVariables compares disk and UEFI variables byte for byte after a
// revert, and deletes a snapshot below a running machine.
func TestSnapshotKeepsVariables(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "variables")
	needFirmware(t, d)
	before := host.left(t)
	s := spec("m-vars", "vars", image)
	s.Firmware = inventory.FirmwareUEFI
	s.Seed = []byte("seed")
	vm, err := d.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	power := func(to hypervisor.PowerState) {
		t.Helper()
		if err := d.SetPower(t.Context(), s.ID, to, hypervisor.Force); err != nil {
			t.Fatal(err)
		}
	}
	power(hypervisor.On)
	power(hypervisor.Off)
	nvram := filepath.Join(host.dir, "pool", nvramVolume(vm.UUID))
	stamp := func(mark string) (content []byte) {
		t.Helper()
		f, err := os.OpenFile(nvram, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte(mark), 200_000)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		host.as(t, "qemu-io", "-f", "qcow2", "-c", "write -P 0x"+mark[:2]+" 8M 64k", vm.Disks[0].Path)
		content, err = os.ReadFile(nvram)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	kept := stamp("11 kept")
	if err := d.CreateSnapshot(t.Context(), s.ID, "kept"); err != nil {
		t.Fatal(err)
	}
	stamp("22 later")
	power(hypervisor.On)
	if err := d.CreateSnapshot(t.Context(), s.ID, "7"); err != nil {
		t.Errorf("snapshot of a running UEFI machine: %v", err)
	}
	if vm, err := d.Get(t.Context(), s.ID); err != nil || vm.Power != hypervisor.On {
		t.Errorf("it is %q, %v; it ran before", vm.Power, err)
	}
	all, err := d.Snapshots(t.Context(), s.ID)
	if err != nil || len(all) != 2 || all[1].Name != "7" || !all[1].Current {
		t.Errorf("snapshots %+v, %v", all, err)
	}
	if err := d.DeleteSnapshot(t.Context(), s.ID, "7"); err != nil {
		t.Errorf("delete a snapshot of a running machine: %v", err)
	}
	if vm, err := d.Get(t.Context(), s.ID); err != nil || vm.Power != hypervisor.On {
		t.Errorf("it is %q, %v; it ran before", vm.Power, err)
	}
	if err := d.RevertSnapshot(t.Context(), s.ID, "kept"); err != nil {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(nvram); err != nil || !bytes.Equal(now, kept) {
		t.Errorf("the variables are not those of the snapshot: %d bytes, %v", len(now), err)
	}
	host.as(t, "qemu-io", "-f", "qcow2", "-c", "read -P 0x11 8M 64k", vm.Disks[0].Path)
	power(hypervisor.On)
	if err := d.Delete(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, host.left(t)); diff != "" {
		t.Errorf("left (-before +after):\n%s", diff)
	}
}

// as runs a program and fails when it says that a pattern did not match.
func (d *daemon) as(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "verification failed") {
		t.Errorf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}
