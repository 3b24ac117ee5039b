package e2e

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory/api"
	"ingot/pxe/lab"
)

// beside runs a foreign program in a namespace until the test ends, and waits for a
// line in what it prints.
func (r *rack) beside(namespace, ready, name string, args ...string) {
	r.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = filepath.Join("/usr/sbin", name)
	}
	if _, err := os.Stat(path); err != nil {
		r.t.Fatalf("%s is not installed (scripts/setup test installs it)", name)
	}
	log := filepath.Join(r.t.TempDir(), name+".log")
	f, err := os.Create(log)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := lab.Command(context.Background(), namespace, path, args...)
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill() // may have ended
		_ = cmd.Wait()         // killed
		_ = f.Close()          // only read from now on
	})
	r.eventually(name+" is up", 20*time.Second, func(context.Context) error {
		text, err := os.ReadFile(log)
		if err == nil && !bytes.Contains(text, []byte(ready)) {
			err = errNotYet(string(text))
		}
		return err
	})
}

type errNotYet string

func (e errNotYet) Error() string { return "not yet: " + tail(string(e), 3) }

func TestProxyBesideDnsmasq(t *testing.T) {
	need(t)
	for name, c := range map[string]struct {
		firmware qemu.Firmware
		image    string
	}{
		"uefi": {qemu.FirmwareUEFI, "debian-12"},
		"bios": {qemu.FirmwareBIOS, "tiny"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guest(t)
			r := newRack(t, lab.Spec{Machines: []lab.Machine{machine(c.firmware, qemu.BusVirtio, qemu.NICVirtio)}}, "--dhcp", "proxy")
			r.otherHost("10.66.0.254/24")
			r.start()
			r.power("m", lab.On)
			m := r.approved("m")
			if ip := m.Status.Address; !netip.MustParsePrefix("10.66.0.0/25").Contains(ip) {
				t.Errorf("address %s is not one of dnsmasq's", ip)
			}
			r.deploy("m", api.Deploy{Image: c.image, Hostname: "web1"})
			r.checkDeployed(c.image)
		})
	}
}

// otherHost puts dnsmasq into a namespace of its own on the rack's bridge, as the router
// it plays is another machine.
func (r *rack) otherHost(address string) {
	r.t.Helper()
	ns, veth := r.lab.Namespace()+"-dns", "dns0"
	run := func(args ...string) {
		r.t.Helper()
		if out, err := exec.CommandContext(r.t.Context(), "ip", args...).CombinedOutput(); err != nil {
			r.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("netns", "add", ns)
	r.t.Cleanup(func() {
		out, err := exec.Command("ip", "netns", "del", ns).CombinedOutput()
		if err != nil {
			r.t.Errorf("remove namespace: %v\n%s", err, out)
		}
	})
	run("-n", r.lab.Namespace(), "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", ns)
	run("-n", r.lab.Namespace(), "link", "set", veth, "master", serverNetwork, "up")
	run("-n", ns, "addr", "add", address, "dev", "eth0")
	run("-n", ns, "link", "set", "eth0", "up")
	run("-n", ns, "link", "set", "lo", "up")
	r.beside(ns, "DHCP, IP range", "dnsmasq", "--no-daemon", "--log-dhcp", "--port=0", "--conf-file=/dev/null", "--interface=eth0", "--bind-interfaces",
		"--dhcp-range=10.66.0.50,10.66.0.99,1h", "--dhcp-leasefile="+filepath.Join(r.t.TempDir(), "leases"))
}

func TestThroughRelay(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	m := machine(qemu.FirmwareUEFI, qemu.BusVirtio, qemu.NICVirtio)
	m.NICs[0].Network = "far"
	spec := lab.Spec{Machines: []lab.Machine{m}, Networks: []lab.Network{
		{Name: serverNetwork, Address: netip.MustParsePrefix("10.66.0.1/24")},
		{Name: "far", Address: netip.MustParsePrefix("10.77.0.1/24"), Router: &lab.Router{Uplink: serverNetwork, Address: netip.MustParseAddr("10.66.0.2")}},
	}}
	r := newRack(t, spec, authoritative...)
	r.start()
	far, err := r.lab.NamespaceOf("far")
	if err != nil {
		t.Fatal(err)
	}
	r.ingot("network", "add", "far", "--subnet", "10.77.0.0/24", "--gateway", "10.77.0.1", "--dhcp", "authoritative", "--pool", "10.77.0.100-10.77.0.150")
	r.beside(far, "Listening on", "dhcrelay", "-4", "-d", "--no-pid", "-a", "10.66.0.1")
	r.power("m", lab.On)
	found := r.approved("m")
	if !netip.MustParsePrefix("10.77.0.0/24").Contains(found.Status.Address) {
		t.Errorf("address %s is not of the far network", found.Status.Address)
	}
}

// ingot runs the command line in the server's namespace and returns what it printed.
func (r *rack) ingot(args ...string) string {
	r.t.Helper()
	out, err := r.tryIngot(args...)
	if err != nil {
		r.t.Fatalf("ingot %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (r *rack) tryIngot(args ...string) (string, error) {
	cmd := r.lab.Command(r.t.Context(), built.ingot, args...)
	cmd.Env = append(os.Environ(), "INGOT_TOKEN="+r.client.Token)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestThreeNICs(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	m := machine(qemu.FirmwareUEFI, qemu.BusVirtio, qemu.NICVirtio)
	m.NICs = []lab.NIC{{Network: "dark1"}, {Network: serverNetwork}, {Network: "dark2"}}
	spec := lab.Spec{Machines: []lab.Machine{m}, Networks: []lab.Network{
		{Name: serverNetwork, Address: netip.MustParsePrefix("10.66.0.1/24")}, {Name: "dark1"}, {Name: "dark2"},
	}}
	r := newRack(t, spec, authoritative...)
	r.start()
	r.power("m", lab.On)
	found := r.approved("m")
	if len(found.Identity.MACs) != 3 {
		t.Errorf("MACs %v, want 3", found.Identity.MACs)
	}
}

// TestSectorsOf4096: a disk with such sectors refuses an image for others, and takes one
// that is made for it.
func TestSectorsOf4096(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	m := machine(qemu.FirmwareUEFI, qemu.BusNVMe, qemu.NICVirtio)
	m.Disks[0].SectorBytes = 4096
	r := newRack(t, lab.Spec{Machines: []lab.Machine{m}}, authoritative...)
	r.start()
	r.power("m", lab.On)
	r.approved("m")
	out, err := r.tryIngot("deploy", r.name("m"), "--image", "tiny")
	if err == nil || !strings.Contains(out, "4096-byte sectors") || !strings.Contains(out, "nothing was written") {
		t.Errorf("deploy: %v\n%s", err, out)
	}
	r.untouched("m")
	r.wrongHint()
	r.deploy("m", api.Deploy{Image: "tiny-4k", Hostname: "web1"})
	r.checkDeployed("tiny-4k")
}

// wrongHint: a hint that fits no disk is refused, and nothing is written.
func (r *rack) wrongHint() {
	r.t.Helper()
	out, err := r.tryIngot("deploy", r.name("m"), "--image", "tiny", "--disk", "serial=NO-SUCH-DISK")
	if err == nil || !strings.Contains(out, "no disk fits serial=NO-SUCH-DISK") {
		r.t.Errorf("deploy with a wrong hint: %v\n%s", err, out)
	}
	r.untouched("m")
}

func (r *rack) name(machine string) string {
	r.t.Helper()
	m, err := r.find(r.t.Context(), machine)
	if err != nil {
		r.t.Fatal(err)
	}
	return m.Name
}

// untouched checks that a disk that was blank still is: its file has no data at all.
func (r *rack) untouched(machine string) {
	r.t.Helper()
	out, err := exec.CommandContext(r.t.Context(), "du", "--block-size=1", r.lab.DiskPath(machine, 0)).CombinedOutput()
	if err != nil {
		r.t.Fatalf("du: %v\n%s", err, out)
	}
	if used, _, _ := strings.Cut(string(out), "\t"); used != "0" {
		r.t.Errorf("disk of %s has %s bytes of data, want none", machine, used)
	}
}
