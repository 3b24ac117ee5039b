package libvirt

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"ingot/hypervisor"
	"ingot/inventory"
)

// systemDaemon is a private daemon as root, with networks and DHCP (testdata/system.sh). It
// takes its guests and helpers with it when it ends.
func systemDaemon(t *testing.T) *daemon {
	t.Helper()
	needPrograms(t)
	for _, p := range [][2]string{{"dnsmasq", "dnsmasq-base"}, {"ip", "iproute2"}, {"unshare", "util-linux"}, {"mount", "mount"}} {
		if _, err := exec.LookPath(p[0]); err != nil {
			t.Skipf("needs %s (Debian: %s)", p[0], p[1])
		}
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: the system's daemon in namespaces of its own")
	}
	script, err := filepath.Abs("testdata/system.sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "lv-")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{dir: dir, socket: filepath.Join(dir, "run/libvirt/libvirt-sock"), env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C"}, uid: os.Getuid(),
		args: []string{"unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", script, dir}}
	t.Cleanup(func() {
		if err := d.remove(); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSystem is a machine of the system's daemon: on a network with DHCP, where the
// firmware's network boot takes an address, and found with that.
func TestSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a guest under emulation, and waits for one under KVM, half a minute")
	}
	host := systemDaemon(t)
	c := host.config("system")
	c.URL, c.PoolDir = "qemu:///system", ""
	began := time.Now()
	d, err := Open(t.Context(), c)
	if err != nil {
		t.Fatalf("%v\n%s", err, host.logTail())
	}
	defer d.Close()
	t.Logf("opened in %v; accelerated: %v, because %s", time.Since(began).Round(time.Millisecond), d.caps.Accelerated, d.kvm)
	image := needGolden(t)
	if err := d.EnsureImage(t.Context(), image, nil); err != nil {
		t.Fatal(err)
	}
	defer clear(t, d, image)
	s := spec("m-system", "system", image)
	if _, err := d.Create(t.Context(), s); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("create without a network default: %v", err)
	}
	if err := do(t.Context(), d.link, "define network", func(r *lv.Libvirt) error {
		// Mode "open" wants no firewall rules.
		_, err := r.NetworkDefineXML("<network><name>default</name><forward mode='open'/><bridge name='virbr9'/><ip address='192.0.2.1' prefix='24'><dhcp><range start='192.0.2.10' end='192.0.2.99'/></dhcp></ip></network>")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	findings, err := d.Check(t.Context())
	for _, f := range findings {
		t.Logf("%s: %s: %s", f.Level, f.What, f.Detail)
		if err != nil || f.Level == hypervisor.Failed || f.Level == hypervisor.Warning && f.What != "KVM" {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if _, err := d.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := d.SetPower(t.Context(), s.ID, hypervisor.On, hypervisor.Graceful); err != nil {
		t.Fatal(err)
	}
	vm := waitAddress(t, d, s.ID)
	if a := vm.NICs[0].Addresses[0]; vm.NICs[0].Network != "default" || a.Source != hypervisor.FromLease || !strings.HasPrefix(a.IP.String(), "192.0.2.") {
		t.Errorf("NICs %+v", vm.NICs)
	}
	if err := d.Delete(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	uefi := secure(image)
	uefi.NICs = nil
	needFirmware(t, d)
	for i, step := range []func() error{
		func() error { _, err := d.Create(t.Context(), uefi); return err },
		func() error { return d.SetPower(t.Context(), uefi.ID, hypervisor.On, hypervisor.Graceful) },
		func() error { return d.CreateSnapshot(t.Context(), uefi.ID, "kept") },
		func() error { return d.RevertSnapshot(t.Context(), uefi.ID, "kept") },
		func() error { return d.SetPower(t.Context(), uefi.ID, hypervisor.On, hypervisor.Graceful) },
		func() error { return d.Delete(t.Context(), uefi.ID) },
	} {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	for _, name := range host.files(t, "var/lib/libvirt") {
		if strings.Contains(name, d.uuidOf(s.ID)) || strings.Contains(name, d.uuidOf(uefi.ID)) {
			t.Errorf("%s is left", name)
		}
	}
}

// waitAddress looks until the machine has an address.
func waitAddress(t *testing.T, d *Driver, id string) hypervisor.VM {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		vm, err := d.Get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if len(vm.NICs[0].Addresses) > 0 {
			return vm
		}
		if pause(ctx, 200*time.Millisecond) != nil {
			t.Fatalf("no address: %+v", vm)
		}
	}
}
