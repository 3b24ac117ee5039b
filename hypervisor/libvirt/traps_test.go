package libvirt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

// TestCloneFile looks at a linked clone with qemu-img, not with libvirt.
func TestCloneFile(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "clone")
	s := spec("m-clone", "clone", image)
	s.Disks = []hypervisor.DiskSpec{{SizeBytes: 128 << 20}, {SizeBytes: 8 << 20}}
	vm, err := d.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"backing file format: qcow2", "compat: 1.1"} {
		out, err := exec.Command("qemu-img", "info", "-f", "qcow2", vm.Disks[i].Path).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "compat: 1.1") {
			t.Errorf("disk %d: %v, want %q in:\n%s", i, err, want, out)
		}
	}
	out, err := exec.Command("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", filepath.Join(host.dir, "pool", imageFile(t, host)), vm.Disks[0].Path).CombinedOutput()
	if err != nil {
		t.Errorf("the clone is not like the image: %v: %s", err, out)
	}
}

func imageFile(t *testing.T, host *daemon) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(host.dir, "pool", "ingot-*"+imageSuffix))
	for _, name := range names {
		if imageName.MatchString(filepath.Base(name)) {
			return filepath.Base(name)
		}
	}
	t.Fatalf("no image: %v", err)
	return ""
}

// TestWrongVolumeIsNoticed makes volumes as libvirt takes them in silence.
func TestWrongVolumeIsNoticed(t *testing.T) {
	host := needDaemon(t)
	d, _ := host.ready(t, "wrong")
	p, err := d.pool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(p.dir, imageFile(t, host))
	want := libvirtxml.StorageVolume{Name: "wrong", Capacity: octets(imageBytes), Allocation: octets(0),
		BackingStore: &libvirtxml.StorageVolumeBackingStore{Path: base, Format: &libvirtxml.StorageVolumeTargetFormat{Type: "qcow2"}},
		Target:       &libvirtxml.StorageVolumeTarget{Format: &libvirtxml.StorageVolumeTargetFormat{Type: "qcow2"}, Compat: "1.1"}}
	for name, change := range map[string]func(*libvirtxml.StorageVolume){
		"no backing format": func(v *libvirtxml.StorageVolume) {
			v.BackingStore = &libvirtxml.StorageVolumeBackingStore{Path: base}
		},
		"smaller": func(v *libvirtxml.StorageVolume) { v.Capacity = octets(imageBytes / 2) },
		"version 2": func(v *libvirtxml.StorageVolume) {
			v.Target = &libvirtxml.StorageVolumeTarget{Format: v.Target.Format}
		},
	} {
		bad := want
		change(&bad)
		made, err := p.create(t.Context(), bad)
		if err != nil {
			t.Logf("%s: this libvirt refuses it: %v", name, err)
			continue
		}
		if err := p.asAsked(t.Context(), made, want); err == nil {
			t.Errorf("%s: not noticed", name)
		}
		if err := p.remove(t.Context(), made); err != nil {
			t.Error(err)
		}
	}
}

// TestImageOfOthersClones: whoever stands on an image keeps it.
func TestImageOfOthersClones(t *testing.T) {
	host := needDaemon(t)
	ours, image := host.ready(t, "sender")
	theirs := host.open(t, "cloner")
	if err := theirs.EnsureImage(t.Context(), hypervisor.Image{Digest: image.Digest}, nil); err != nil {
		t.Errorf("another owner's image is not used: %v", err)
	}
	if _, err := theirs.Create(t.Context(), spec("m-theirs", "theirs", image)); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Driver{ours, theirs} {
		if err := d.RemoveImage(t.Context(), image.Digest); !errors.Is(err, inventory.ErrBusy) {
			t.Errorf("remove: %v, want ErrBusy", err)
		}
	}
	if digests, err := ours.Images(t.Context()); err != nil || !slices.Equal(digests, []string{image.Digest}) {
		t.Errorf("images %v, %v", digests, err)
	}
	if err := theirs.Delete(t.Context(), "m-theirs"); err != nil {
		t.Fatal(err)
	}
	if err := theirs.RemoveImage(t.Context(), image.Digest); err != nil {
		t.Errorf("remove: %v", err)
	}
}

// TestGuestWritesHeaders: what a guest writes to its console or variables, a qcow2 header
// that names the image, neither keeps the image nor is followed by a snapshot.
func TestGuestWritesHeaders(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "forger")
	needFirmware(t, d)
	s := spec("m-forger", "forger", image)
	s.Firmware = inventory.FirmwareUEFI
	vm, err := d.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.pool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var forged []byte
	for _, name := range []string{nvramVolume(vm.UUID), consoleVolume(vm.UUID)} {
		host.as(t, "qemu-img", "create", "-q", "-f", "qcow2", "-b", filepath.Join(p.dir, imageFile(t, host)), "-F", "qcow2", p.path(name))
		if forged, err = os.ReadFile(p.path(name)); err != nil {
			t.Fatal(err)
		}
		if err := host.give(p.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.CreateSnapshot(t.Context(), s.ID, "forged"); err != nil {
		t.Fatal(err)
	}
	forged2, err := os.ReadFile(p.path(nvramVolume(vm.UUID)))
	kept, err2 := os.ReadFile(p.path(keptVariables(vm.UUID, "forged")))
	if err := errors.Join(err, err2); err != nil || !bytes.Equal(kept, forged2) || len(kept) != len(forged) {
		t.Errorf("kept %d bytes of %d, %v", len(kept), len(forged2), err)
	}
	found, err := p.images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.removeAll(t.Context(), diskVolume(vm.UUID)); err != nil {
		t.Fatal(err)
	}
	if err := p.unused(t.Context(), found[image.Digest].whole[0]); err != nil {
		t.Errorf("the image is kept by what a guest wrote: %v", err)
	}
}

// TestSameName: the person's name is the domain's where it can be, and need not be.
func TestSameName(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "same")
	host.define(t, "web", "")
	defer host.undefine(t, "web")
	for i := range 2 {
		vm, err := d.Create(t.Context(), spec(fmt.Sprintf("m-same%d", i), "web", image))
		if err != nil || vm.Name != "web" {
			t.Errorf("%q, %v", vm.Name, err)
		}
	}
}

// define makes a domain that is not Ingot's, on a disk or none, and returns its UUID.
func (d *daemon) define(t *testing.T, name, disks string) string {
	t.Helper()
	l := newLink(unixDialer(true, d.socket), "qemu:///session")
	defer l.close()
	dom, err := change(t.Context(), l, "define", func(r *lv.Libvirt) (lv.Domain, error) {
		return r.DomainDefineXML("<domain type='qemu'><name>" + name + "</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type machine='q35'>hvm</type></os><devices>" + disks + "</devices></domain>")
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", dom.UUID[:4], dom.UUID[4:6], dom.UUID[6:8], dom.UUID[8:10], dom.UUID[10:])
}

func (d *daemon) undefine(t *testing.T, name string) {
	t.Helper()
	l := newLink(unixDialer(true, d.socket), "qemu:///session")
	defer l.close()
	if err := do(context.Background(), l, "undefine", func(r *lv.Libvirt) error {
		dom, err := r.DomainLookupByName(name)
		if err != nil {
			return err
		}
		return r.DomainUndefine(dom)
	}); err != nil && !missing(err) {
		t.Error(err)
	}
}

// TestStrayFiles: what stands in the pool's folder and libvirt has not seen goes too.
func TestStrayFiles(t *testing.T) {
	host := needDaemon(t)
	d, image := host.ready(t, "stray")
	before := host.left(t)
	vm, err := d.Create(t.Context(), spec("m-stray", "stray", image))
	if err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(host.dir, "pool", nvramVolume(vm.UUID))
	if err := errors.Join(os.WriteFile(stray, []byte("variables"), 0o600), host.give(stray)); err != nil {
		t.Fatal(err)
	}
	host.vanish(t, vm)
	if err := d.Delete(t.Context(), vm.ID); err != nil {
		t.Error(err)
	}
	if left := host.left(t); !slices.Equal(left, before) {
		t.Errorf("left %q, before %q", left, before)
	}
}

// TestGracefulNeedsAGuest: ACPI is taken and nothing comes of it.
func TestGracefulNeedsAGuest(t *testing.T) {
	d, image := needDaemon(t).ready(t, "graceful")
	if _, err := d.Create(t.Context(), spec("m-graceful", "graceful", image)); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPower(t.Context(), "m-graceful", hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := d.SetPower(ctx, "m-graceful", hypervisor.Off, hypervisor.Graceful); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still runs") {
		t.Errorf("power off: %v", err)
	}
	if vm, err := d.Get(t.Context(), "m-graceful"); err != nil || vm.Power != hypervisor.On {
		t.Errorf("it is %q, %v; want on", vm.Power, err)
	}
	// An agent that is said to be there and does not answer is passed over.
	f, err := d.find(t.Context(), "m-graceful")
	if err != nil {
		t.Fatal(err)
	}
	f.desc.Devices.Channels[0].Target.VirtIO.State = "connected"
	nics := []hypervisor.VMNIC{{MAC: "52:54:00:00:00:01"}}
	if err := d.address(t.Context(), f, nics); err != nil || len(nics[0].Addresses) > 0 {
		t.Errorf("addresses %+v, %v", nics, err)
	}
	if err := d.askOff(t.Context(), f); err != nil {
		t.Errorf("ask without an agent: %v", err)
	}
}

// TestLostAnswers: each changing call of a life is made, and its answer lost.
func TestLostAnswers(t *testing.T) {
	host := needDaemon(t)
	if testing.Short() {
		t.Skip("makes a machine once for each call, a quarter of a minute")
	}
	d, image := host.ready(t, "lost")
	f := &faults{answer: true}
	d.link.tamper = f.tamper
	before := host.left(t)
	s := spec("m-lost", "lost", image)
	s.Seed = bytes.Repeat([]byte("seed"), 4096)
	for n, hit := 1, true; hit && n < 60; n++ {
		failed := f.fail(t, n)
		create := func() error { _, err := d.Create(t.Context(), s); return err }
		steps := []func() error{
			create,
			func() error { return d.SetPower(t.Context(), s.ID, hypervisor.On, hypervisor.Graceful) },
			func() error { return d.SetPower(t.Context(), s.ID, hypervisor.Off, hypervisor.Force) },
			func() error { return d.Delete(t.Context(), s.ID) },
		}
		for i, step := range steps {
			if f.hasHit() && i > 0 && i < len(steps)-1 {
				continue // starting a guest takes its time
			}
			if err := step(); err != nil && step() != nil {
				t.Errorf("call %d: %v, and again %v", n, err, step())
			}
		}
		hit = failed()
		if left := host.left(t); !slices.Equal(left, before) {
			t.Errorf("call %d left %q, before %q", n, left, before)
		}
	}
}
