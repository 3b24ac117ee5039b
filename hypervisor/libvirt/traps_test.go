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
	"ingot/hypervisor/drivertest"
	"ingot/inventory"
)

// TestBindingTakesTruncatedUpload keeps the reason why uploads are counted.
func TestBindingTakesTruncatedUpload(t *testing.T) {
	d, _ := needDaemon(t).ready(t, "truncated")
	p, err := d.pool(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.create(t.Context(), raw("truncated", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer p.removeAll(t.Context(), "truncated")
	err = p.aside(t.Context(), func(own *link) error {
		return do(t.Context(), own, "upload", func(r *lv.Libvirt) error {
			return r.StorageVolUpload(v, strings.NewReader("13 characters"), 0, 1<<20, 0)
		})
	})
	t.Logf("libvirt and its binding say of an upload that was cut short: %v", err)
	if err := p.fill(t.Context(), v, strings.NewReader("13 characters"), 1<<20, strings.Repeat("0", 64), nil); err == nil || !strings.Contains(err.Error(), "13 bytes") {
		t.Errorf("fill said %v", err)
	}
}

// TestUploadIsReadBack damages what was stored before it is read back.
func TestUploadIsReadBack(t *testing.T) {
	host := needDaemon(t)
	d, image := host.open(t, "damaged"), needGolden(t)
	d.link.tamper = func(what string, do func() error) error {
		if strings.HasPrefix(what, "read back") {
			name := strings.TrimPrefix(what, "read back volume ")
			f, err := os.OpenFile(filepath.Join(host.dir, "pool", name), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("damage"), 100_000)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
		}
		return do()
	}
	if err := d.EnsureImage(t.Context(), image, nil); err == nil || !strings.Contains(err.Error(), "holds") {
		t.Errorf("ensure said %v", err)
	}
	if left := host.left(t); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestImageMustBeWhatItSays: a raw file, a qcow2 of another size, one that stands on a
// file of the host.
func TestImageMustBeWhatItSays(t *testing.T) {
	host := needDaemon(t)
	d := host.open(t, "liar")
	made := filepath.Join(t.TempDir(), "standing.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", made, "64M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	standing, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*hypervisor.Image){
		"short": func(i *hypervisor.Image) { i.Open = opener([]byte("x")) },
		"raw":   func(i *hypervisor.Image) { i.Open = opener(bytes.Repeat([]byte("x"), 1<<20)) },
		"size":  func(i *hypervisor.Image) { i.SizeBytes++ },
		"elsewhere": func(i *hypervisor.Image) {
			i.Open = opener([]byte(headerMagic + "\x00\x00\x00\x03" + strings.Repeat("\x00", 71) + "\x04" + strings.Repeat("\x00", 1000)))
		},
		"standing": func(i *hypervisor.Image) { i.Open = opener(standing) },
	} {
		image := needGolden(t)
		change(&image)
		if err := d.EnsureImage(t.Context(), image, nil); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if left := host.left(t); len(left) > 0 {
			t.Errorf("%s left %q", name, left)
		}
	}
}

func opener(data []byte) func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
	return func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
		return drivertest.Artefact(data), nil
	}
}

// slow is content that comes for ever, a little at a time.
type slow struct {
	ctx  context.Context
	sent chan struct{}
}

func (s slow) Read(b []byte) (int, error) {
	select {
	case s.sent <- struct{}{}:
	case <-time.After(10 * time.Millisecond):
	}
	if s.ctx.Err() != nil {
		return 0, s.ctx.Err()
	}
	return min(len(b), 4096), nil
}
func (slow) ReadAt(b []byte, _ int64) (int, error) {
	return copy(b, headerMagic+strings.Repeat("\x00", len(b))), nil
}
func (slow) Close() error { return nil }

// TestUploadEndsWithContext cuts an upload, which leaves a half image that is not used,
// not listed, and taken away by RemoveImage or replaced by EnsureImage.
func TestUploadEndsWithContext(t *testing.T) {
	host := needDaemon(t)
	d, whole := host.open(t, "cut"), needGolden(t)
	endless, finish := context.WithCancel(context.Background())
	defer finish()
	for _, after := range []func() error{
		func() error { return d.RemoveImage(t.Context(), whole.Digest) },
		func() error { return d.EnsureImage(t.Context(), whole, nil) },
		func() error { return d.RemoveImage(t.Context(), whole.Digest) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan struct{})
		image := whole
		image.Open = func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
			return hypervisor.Artefact{Content: slow{endless, sent}, SizeBytes: 1 << 30, SHA256: strings.Repeat("0", 64)}, nil
		}
		done := make(chan error, 1)
		go func() { done <- d.EnsureImage(ctx, image, nil) }()
		select {
		case <-sent:
			<-sent
			cancel()
		case err := <-done: // the third time it is whole
			done <- err
		}
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("ensure: %v", err)
		}
		cancel()
		if err := after(); err != nil {
			t.Error(err)
		}
	}
	if left := host.left(t); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

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
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
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
