package libvirt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/hypervisor/drivertest"
	"ingot/inventory"
)

// imageBytes is the size of the test's disk.
const imageBytes = 64 << 20

// golden is a qcow2 image with 3 MiB of data.
var golden = sync.OnceValues(func() (hypervisor.Image, error) {
	data := drivertest.RawDisk(imageBytes, 3<<20)
	qcow2, err := drivertest.Convert(data, "qcow2", "compat=1.1")
	return hypervisor.Image{Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(data)), Name: "golden", SizeBytes: imageBytes,
		BootModes: []string{"bios", "uefi"},
		Open: func(context.Context, hypervisor.Format) (hypervisor.Artefact, error) {
			return drivertest.Artefact(qcow2), nil
		}}, err
})

func needGolden(t testing.TB) hypervisor.Image {
	t.Helper()
	image, err := golden()
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// config is for drivers that work with this daemon.
func (d *daemon) config(owner string) Config {
	return Config{URL: "qemu:///session", Socket: d.socket, Owner: owner, PoolDir: filepath.Join(d.dir, "pool"), StopWithin: time.Second}
}

// open makes a driver that is closed at the end.
func (d *daemon) open(t testing.TB, owner string) *Driver {
	t.Helper()
	driver, err := Open(t.Context(), d.config(owner))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	return driver
}

// ready is a driver with the golden image at the daemon; all that it made goes at the end.
func (d *daemon) ready(t testing.TB, owner string) (*Driver, hypervisor.Image) {
	t.Helper()
	driver, image := d.open(t, owner), needGolden(t)
	if err := driver.EnsureImage(t.Context(), image, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { clear(t, driver, image) })
	return driver, image
}

func clear(t testing.TB, d *Driver, image hypervisor.Image) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all, err := d.List(ctx)
	if err != nil {
		t.Error(err)
	}
	for _, vm := range all {
		if err := d.Delete(ctx, vm.ID); err != nil {
			t.Error(err)
		}
	}
	if err := d.RemoveImage(ctx, image.Digest); err != nil {
		t.Error(err)
	}
}

// spec is a small machine.
func spec(id, name string, image hypervisor.Image) hypervisor.Spec {
	sum := sha256.Sum256([]byte(id))
	return hypervisor.Spec{ID: id, Name: name, CPUs: 1, MemoryBytes: 64 << 20, Image: image.Digest, Firmware: inventory.FirmwareBIOS,
		Disks: []hypervisor.DiskSpec{{}}, NICs: []hypervisor.NICSpec{{MAC: inventory.MAC(fmt.Sprintf("52:54:00:%02x:%02x:%02x", sum[0], sum[1], sum[2]))}}}
}

// faults makes the n-th changing call fail, before or after it is made.
type faults struct {
	mu     sync.Mutex
	n      int
	hit    bool
	answer bool
}

func (f *faults) tamper(what string, do func() error) error {
	f.mu.Lock()
	f.n--
	now, answer := f.n == 0, f.answer
	f.hit = f.hit || now
	f.mu.Unlock()
	if now && !answer {
		return errors.New("made to fail: " + what)
	}
	err := do()
	if now {
		return errors.New("made to lose the answer: " + what)
	}
	return err
}

func (f *faults) fail(_ *testing.T, n int) (failed func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.hit = n, false
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.n = 0
		return f.hit
	}
}

func (f *faults) hasHit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hit
}

// left names what is at the daemon: domains, volumes, and files of which libvirt's pool
// does not know.
func (d *daemon) left(t *testing.T) []string {
	t.Helper()
	l := newLink(unixDialer(true, d.socket), "qemu:///session")
	defer l.close()
	names, err := ask(context.Background(), l, "list domains", func(r *lv.Libvirt) (names []string, err error) {
		all, _, err := r.ConnectListAllDomains(1, 0)
		for _, one := range all {
			names = append(names, "domain "+one.Name)
		}
		return names, err
	})
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, d.files(t, "pool")...)
	names = append(names, d.files(t, "c/libvirt/qemu/nvram")...)
	names = append(names, d.files(t, "c/libvirt/qemu/swtpm")...)
	slices.Sort(names)
	return names
}

// vanish undefines a machine behind the driver's back.
func (d *daemon) vanish(t *testing.T, vm hypervisor.VM) {
	t.Helper()
	l := newLink(unixDialer(true, d.socket), "qemu:///session")
	defer l.close()
	uuid, err := number(vm.UUID)
	if err != nil {
		t.Fatal(err)
	}
	if err := do(t.Context(), l, "vanish", func(r *lv.Libvirt) error {
		dom, err := r.DomainLookupByUUID(uuid)
		if err != nil {
			return err
		}
		return r.DomainUndefineFlags(dom, lv.DomainUndefineKeepNvram)
	}); err != nil {
		t.Fatal(err)
	}
}

// harness is the suite's.
func (d *daemon) harness(t *testing.T, f *faults) drivertest.Harness {
	return drivertest.Harness{
		New: func(t *testing.T, owner string) hypervisor.Driver {
			driver, err := Open(t.Context(), d.config(owner))
			if err != nil {
				t.Fatal(err)
			}
			driver.link.tamper = f.tamper
			return driver
		},
		Image: needGolden(t), Left: d.left, Vanish: d.vanish, Fail: f.fail,
	}
}

func TestDriver(t *testing.T) {
	d := needDaemon(t)
	drivertest.Run(t, d.harness(t, new(faults)))
}
