package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/pxe/lab"
)

// hypervisorHost is a system libvirtd of its own in the rack's namespace.
type hypervisorHost struct {
	r   *rack
	dir string
	cmd *exec.Cmd
	// attached is the daemon's standard input: it ends with it.
	attached io.Closer
}

// guestNetwork is libvirt's network "default", without the rules that would need a
// firewall.
const guestNetwork = `<network><name>default</name><forward mode='open'/><bridge name='virbr0' stp='off' delay='0'/>
<ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/></dhcp></ip></network>`

var guestSubnet = netip.MustParsePrefix("192.168.122.0/24")

// newHost starts libvirtd and its network.
func newHost(r *rack) *hypervisorHost {
	r.t.Helper()
	for _, p := range []string{"libvirtd", "virsh"} {
		if _, err := exec.LookPath(p); err != nil {
			r.t.Skipf("needs %s: %v", p, err)
		}
	}
	dir, err := os.MkdirTemp("", "ingot-lv-") // a socket's path must be short
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // QEMU's user passes through it
		r.t.Fatal(err)
	}
	h := &hypervisorHost{r: r, dir: dir}
	h.cmd = r.lab.Command(context.Background(), "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "../../hypervisor/libvirt/testdata/system.sh", dir, "attached")
	log, err := os.Create(filepath.Join(dir, "libvirtd.log"))
	if err != nil {
		r.t.Fatal(err)
	}
	h.cmd.Stdout, h.cmd.Stderr = log, log
	if h.attached, err = h.cmd.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { h.end(log) })
	r.eventually("libvirtd", time.Minute, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", h.socket())
		if err != nil {
			return err
		}
		return conn.Close()
	})
	file := filepath.Join(dir, "network.xml")
	if err := os.WriteFile(file, []byte(guestNetwork), 0o600); err != nil {
		r.t.Fatal(err)
	}
	h.virsh("net-define", file)
	return h
}

func (h *hypervisorHost) socket() string { return filepath.Join(h.dir, "run/libvirt/libvirt-sock") }
func (h *hypervisorHost) url() string    { return "qemu:///system?socket=" + h.socket() }

func (h *hypervisorHost) virsh(args ...string) string {
	h.r.t.Helper()
	out, err := exec.CommandContext(h.r.t.Context(), "virsh", append([]string{"-q", "-c", h.url()}, args...)...).CombinedOutput()
	if err != nil {
		h.r.t.Fatalf("virsh %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// end ends the daemon, and with it its guests and its dnsmasq: when the wait is over, all
// are gone.
func (h *hypervisorHost) end(log *os.File) {
	if h.r.t.Failed() {
		text, _ := os.ReadFile(log.Name()) // for a person
		h.r.t.Logf("libvirtd:\n%s", tail(string(text), 20))
		consoles, _ := filepath.Glob(filepath.Join(h.dir, "var/lib/libvirt/images/ingot/*console.log")) // the pattern is good
		for _, c := range consoles {
			text, _ := os.ReadFile(c) // for a person
			h.r.t.Logf("console:\n%s", tail(printable(string(text)), 40))
		}
	}
	err := h.attached.Close()
	_ = h.cmd.Wait() // however libvirtd took it
	if err := errors.Join(err, log.Close(), os.RemoveAll(h.dir)); err != nil {
		h.r.t.Error(err)
	}
}

// files are the names in the pool.
func (h *hypervisorHost) files() []string {
	h.r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(h.dir, "var/lib/libvirt/images/ingot"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		h.r.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// vm asks for a machine of an image; until waits for its state.
func (h *hypervisorHost) vm(name, image string, firmware inventory.FirmwareMode) {
	h.r.t.Helper()
	_, err := h.r.client.CreateVM(h.r.t.Context(), api.VMCreate{Name: name, Image: image, Spec: inventory.VMSpec{Host: inventory.AnyHost, CPUs: 1,
		MemoryBytes: 768 << 20, DiskBytes: []int64{3 << 30}, NICs: make([]inventory.VMNIC, 1), Firmware: firmware}})
	if err != nil {
		h.r.t.Fatal(err)
	}
}

func (h *hypervisorHost) until(name string, limit time.Duration, ok func(inventory.Machine) error) (m inventory.Machine) {
	h.r.t.Helper()
	h.r.eventually(name, limit, func(ctx context.Context) error {
		d, err := h.r.client.Machine(ctx, name)
		if err != nil {
			return err
		}
		if e := d.Status.Error; e != nil {
			h.r.t.Fatalf("%s: %s failed: %s", name, e.Step, e.Reason)
		}
		m = d.Machine
		return ok(m)
	})
	return m
}

func firstBoot(m inventory.Machine) error {
	if m.Status.Phase != inventory.PhaseFirstBoot {
		return fmt.Errorf("it is %s/%s", m.Status.State, m.Status.Phase)
	}
	return nil
}

// TestVirtualMachine: a VM from the golden image that metal gets, on a real libvirtd:
// linked clone, cloud-init, phone-home to a server that was killed meanwhile, its address;
// off and on; a second one moves no image bytes; deleted, it leaves the image alone.
func TestVirtualMachine(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	r := newRack(t, lab.Spec{})
	r.start()
	h := newHost(r)
	if err := r.client.PutHost(t.Context(), api.HostAdd{Host: inventory.Host{Name: "kvm1", URL: h.url()}}); err != nil {
		t.Fatal(err)
	}
	h.vm("web", "debian-12", "")
	h.until("web", 2*time.Minute, firstBoot)
	r.kill()
	r.start()
	m := h.until("web", 8*time.Minute, inState(inventory.Deployed))
	if !guestSubnet.Contains(m.Status.Address) || m.Spec.VM.Host != "kvm1" || m.Status.VM.Clone != "linked clone" || m.Status.Firmware != inventory.FirmwareUEFI ||
		m.Status.PhoneHome.Hostname != "web" || len(m.Status.PhoneHome.HostKeys) == 0 {
		t.Errorf("deployed %+v, VM %+v, phone-home %+v", m.Status, m.Status.VM, m.Status.PhoneHome)
	}
	if got := h.virsh("list", "--all", "--title"); !strings.Contains(got, "running") || !strings.Contains(got, "web") {
		t.Errorf("virsh sees %q", got)
	}
	r.loginPrompt("web")
	for _, p := range []api.VMPower{{Force: true}, {On: true}, {Force: true}} {
		if err := r.client.PowerVM(t.Context(), "web", p); err != nil {
			t.Errorf("power %+v: %v", p, err)
		}
		want := map[bool]string{true: "running", false: "shut off"}[p.On]
		if got := h.virsh("list", "--all"); !strings.Contains(got, want) {
			t.Errorf("power %+v: virsh sees %q", p, got)
		}
	}
	images := h.images()
	begun := time.Now()
	h.vm("second", "debian-12", inventory.FirmwareBIOS)
	h.until("second", time.Minute, firstBoot)
	t.Logf("second VM made and started after %s", time.Since(begun).Round(time.Millisecond))
	if now := h.images(); !slices.Equal(images, now) {
		t.Errorf("images %q became %q", images, now)
	}
	h.changed("second")
	for _, name := range []string{"web", "second"} {
		r.removeVM(name)
	}
	if left := h.files(); !slices.Equal(left, images) {
		t.Errorf("left in the pool: %q, want the image alone: %q", left, images)
	}
	if got := h.virsh("list", "--all", "--name"); strings.TrimSpace(got) != "" {
		t.Errorf("left at the host: %q", got)
	}
}

// loginPrompt is a person at a VM's console, who is asked for a password.
func (r *rack) loginPrompt(name string) {
	r.t.Helper()
	port, err := r.client.ConsoleOfVM(r.t.Context(), name, false)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer port.Close()
	limit := time.AfterFunc(time.Minute, func() { port.Close() })
	defer limit.Stop()
	for _, step := range []struct{ typed, answer string }{{"\r", name + " login: "}, {"root\r", "Password: "}} {
		if _, err := io.WriteString(port, step.typed); err != nil {
			r.t.Errorf("console: %v", err)
		}
		var said []byte
		for b := make([]byte, 256); !bytes.Contains(said, []byte(step.answer)); {
			n, err := port.Read(b)
			if said = append(said, b[:n]...); err != nil {
				r.t.Errorf("console: %v while waiting for %q, after %q", err, step.answer, said)
				return
			}
		}
	}
}

// changed: a VM is resized and kept, what somebody else does to it is seen, and it goes
// back.
func (h *hypervisorHost) changed(name string) {
	t, c := h.r.t, h.r.client
	t.Helper()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	ctx := t.Context()
	must("off", c.PowerVM(ctx, name, api.VMPower{Force: true}))
	must("resize", c.ResizeVM(ctx, name, api.VMResize{CPUs: 2, MemoryBytes: 1 << 30, DiskBytes: map[int]int64{0: 4 << 30}}))
	if err := c.ResizeVM(ctx, name, api.VMResize{DiskBytes: map[int]int64{0: 1 << 30}}); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("shrink: %v, want ErrInvalid", err)
	}
	must("snapshot", c.SnapshotVM(ctx, name, "before"))
	all, err := c.SnapshotsOfVM(ctx, name)
	if err != nil || len(all) != 1 || all[0].Name != "before" {
		t.Errorf("snapshots %+v, %v", all, err)
	}
	drift := func(want ...string) {
		t.Helper()
		found, err := c.DriftOfVM(ctx, name)
		var fields []string
		for _, d := range found {
			fields = append(fields, d.Field+" "+d.Want+" "+d.Have)
		}
		if err != nil || !slices.Equal(fields, want) {
			t.Errorf("drift %q, %v; want %q", fields, err, want)
		}
	}
	drift()
	m, err := c.Machine(ctx, name)
	must("machine", err)
	h.virsh("setvcpus", m.Status.VM.UUID, "1", "--config")
	drift("cpus 2 1")
	if m.Spec.VM.CPUs != 2 || m.Spec.VM.DiskBytes[0] != 4<<30 {
		t.Errorf("the inventory wants %+v", m.Spec.VM)
	}
	must("revert", c.RevertVM(ctx, name, "before"))
	drift()
	must("forget snapshot", c.DeleteVMSnapshot(ctx, name, "before"))
}

// images are the files that are no machine's: those that carry a digest.
func (h *hypervisorHost) images() []string {
	h.r.t.Helper()
	return slices.DeleteFunc(h.files(), func(name string) bool { return !imageFile(name) })
}

// imageFile: "ingot-" and 64 hex digits.
func imageFile(name string) bool {
	rest, ok := strings.CutPrefix(name, "ingot-")
	return ok && len(rest) > 64 && strings.Trim(rest[:64], "0123456789abcdef") == ""
}

// removeVM deletes a VM and waits until it is gone.
func (r *rack) removeVM(name string) {
	r.t.Helper()
	if _, err := r.client.RemoveVM(r.t.Context(), name); err != nil {
		r.t.Fatal(err)
	}
	r.eventually(name+" deleted", time.Minute, func(ctx context.Context) error {
		_, err := r.client.Machine(ctx, name)
		if errors.Is(err, inventory.ErrNotFound) {
			return nil
		}
		return errors.Join(err, errors.New("it is there still"))
	})
}
