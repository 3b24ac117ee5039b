package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/pxe/lab"
)

// TestLifeAfterDeploy: a deployed machine that is power-cycled boots its disk; it is
// deployed again; both at once for BIOS and UEFI in one rack (two machines at once).
func TestLifeAfterDeploy(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	guest(t)
	bios, uefi := machine(qemu.FirmwareBIOS, qemu.BusVirtio, qemu.NICVirtio), machine(qemu.FirmwareUEFI, qemu.BusSCSI, qemu.NICVirtio)
	bios.Name, uefi.Name = "bios", "uefi"
	r := newRack(t, lab.Spec{Machines: []lab.Machine{bios, uefi}}, authoritative...)
	r.start()
	names := []string{"bios", "uefi"}
	for _, name := range names {
		r.power(name, lab.On)
	}
	for _, name := range names {
		r.approved(name)
		r.deploy(name, api.Deploy{Image: "tiny", Hostname: name})
	}
	for _, name := range names {
		r.deployed(name, tinyLimit)
	}
	cycled := time.Now()
	for _, name := range names {
		r.power(name, lab.Cycle)
	}
	for _, name := range names {
		r.phonedHomeAfter(name, cycled)
	}
	r.redeploy("uefi")
	r.release("bios")
}

// release wipes a machine: its disk reads as zeros, and it is ready again.
func (r *rack) release(name string) {
	r.t.Helper()
	m, err := r.find(r.t.Context(), name)
	if err == nil {
		m, err = r.client.Act(r.t.Context(), m.ID, api.ActionRelease)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.power(name, lab.Cycle)
	m = r.until(name, "released", 4*time.Minute, inState(inventory.Ready))
	if m.Status.ImageDigest != "" || m.Status.Report == nil || m.Status.Report.Disk != "/dev/vda" {
		r.t.Errorf("after release: image %q, report %+v", m.Status.ImageDigest, m.Status.Report)
	}
	out, err := exec.CommandContext(r.t.Context(), "cmp", "-n", fmt.Sprint(int64(4*gib)), r.lab.DiskPath(name, 0), "/dev/zero").CombinedOutput()
	if err != nil {
		r.t.Errorf("the released disk is not blank: %v %s", err, out)
	}
}

// phonedHomeAfter waits for the installed system's word from a boot after t0.
func (r *rack) phonedHomeAfter(name string, t0 time.Time) {
	r.t.Helper()
	r.until(name, "boots its disk", tinyLimit, func(m inventory.Machine) error {
		if p := m.Status.PhoneHome; p == nil || !p.At.After(t0) {
			return errors.New("no phone-home since the power cycle")
		}
		return inState(inventory.Deployed)(m)
	})
}

// redeploy orders an image onto a deployed machine that is then booted from the network.
func (r *rack) redeploy(name string) inventory.Machine {
	r.t.Helper()
	before := r.deploy(name, api.Deploy{Image: "tiny", Hostname: name + "2"})
	r.power(name, lab.Off)
	if err := r.lab.BootNetworkOnce(r.t.Context(), name); err != nil {
		r.t.Fatal(err)
	}
	r.power(name, lab.On)
	m := r.deployed(name, tinyLimit)
	if m.Spec.Generation != before.Spec.Generation || m.Status.PhoneHome.Hostname != name+"2" {
		r.t.Errorf("generation %d, phone-home %+v", m.Spec.Generation, m.Status.PhoneHome)
	}
	return m
}

// notedBytes are written in so long a time, under emulation, that the agent noted on the
// disk how far it is.
const notedBytes = bulkyBytes / 3

// writing waits until more than so many bytes of the image have come and most have not.
func (r *rack) writing(name string, wireBytes int64) {
	r.t.Helper()
	r.until(name, "writing", 4*time.Minute, func(m inventory.Machine) error {
		if e := m.Status.Error; e != nil && e.Permanent {
			r.t.Fatalf("%s failed: %s", e.Step, e.Reason)
		}
		if p := m.Status.Progress; p == nil || p.Step != "write" || p.WireBytes <= wireBytes {
			return fmt.Errorf("it is %s/%s", m.Status.State, m.Status.Phase)
		}
		return nil
	})
}

// TestInterrupted: power cut in the middle of writing; ingot serve killed with -9 while
// the agent boots, while it writes, and while the system boots for the first time. The
// machine finishes by itself each time, and does not write anew what is on the disk.
func TestInterrupted(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	r := newRack(t, lab.Spec{Machines: []lab.Machine{machine(qemu.FirmwareBIOS, qemu.BusVirtio, qemu.NICVirtio)}}, authoritative...)
	r.start()
	r.power("m", lab.On)
	r.until("m", "kernel fetched", 2*time.Minute, func(m inventory.Machine) error {
		for _, e := range r.events(m.ID) {
			if strings.HasPrefix(e.Text(), "initrd.img fetched") {
				return nil
			}
		}
		return errors.New("not yet")
	})
	r.kill()
	r.start()
	r.approved("m")
	r.deploy("m", api.Deploy{Image: "bulky", Hostname: "web1"})
	r.writing("m", notedBytes)
	r.power("m", lab.Off)
	r.power("m", lab.On)
	r.writing("m", 0)
	r.kill()
	r.start()
	m := r.until("m", "first boot", 4*time.Minute, func(m inventory.Machine) error {
		if m.Status.Phase != inventory.PhaseFirstBoot && m.Status.State != inventory.Deployed {
			return fmt.Errorf("it is %s/%s", m.Status.State, m.Status.Phase)
		}
		return nil
	})
	r.kill()
	r.start()
	r.checkDeployed("bulky")
	r.logHas(m, "went on where the last boot was cut")
}

// TestRestoredDatabase: an older database re-images nothing; and when a person lifts the
// hold all the same, the agent refuses the older order.
func TestRestoredDatabase(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	r := newRack(t, lab.Spec{Machines: []lab.Machine{machine(qemu.FirmwareUEFI, qemu.BusVirtio, qemu.NICVirtio)}}, authoritative...)
	r.start()
	r.power("m", lab.On)
	r.approved("m")
	r.power("m", lab.Off)
	r.deploy("m", api.Deploy{Image: "tiny", Hostname: "web1"})
	r.until("m", "waits for its boot", time.Minute, func(m inventory.Machine) error {
		if m.Status.Phase != inventory.PhaseBoot {
			return fmt.Errorf("it is %s/%s", m.Status.State, m.Status.Phase)
		}
		return nil
	})
	backup := r.backup()
	r.bootNetwork("m")
	r.deployed("m", tinyLimit)
	second := r.redeploy("m")
	r.stop()
	r.restore(backup)
	r.start()
	m := r.until("m", "on hold", time.Minute, func(m inventory.Machine) error {
		if m.Status.Hold == "" {
			return errors.New("not on hold")
		}
		return nil
	})
	if m.Spec.Generation >= second.Spec.Generation {
		t.Fatalf("the restored database has generation %d, no older than %d", m.Spec.Generation, second.Spec.Generation)
	}
	r.power("m", lab.Off)
	if _, err := r.client.Act(t.Context(), m.ID, api.ActionResume); err != nil {
		t.Fatal(err)
	}
	r.bootNetwork("m")
	r.until("m", "the agent refuses", 4*time.Minute, func(m inventory.Machine) error {
		if e := m.Status.Error; e == nil || !strings.Contains(e.Reason, "a restored server must not write disks") {
			return fmt.Errorf("error is %+v", m.Status.Error)
		}
		return nil
	})
}

func (r *rack) bootNetwork(name string) {
	r.t.Helper()
	r.power(name, lab.Off)
	if err := r.lab.BootNetworkOnce(r.t.Context(), name); err != nil {
		r.t.Fatal(err)
	}
	r.power(name, lab.On)
}

// backup copies the database as sqlite's own files, with the server stopped.
func (r *rack) backup() string {
	r.t.Helper()
	r.stop()
	dir := r.t.TempDir()
	r.copyDatabase(r.data, dir)
	r.start()
	return dir
}

func (r *rack) restore(dir string) {
	r.t.Helper()
	for _, name := range []string{"ingot.db", "ingot.db-wal", "ingot.db-shm"} {
		if err := os.Remove(filepath.Join(r.data, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.t.Fatal(err)
		}
	}
	r.copyDatabase(dir, r.data)
}

func (r *rack) copyDatabase(from, to string) {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "ingot.db*"))
	if err != nil || len(files) == 0 {
		r.t.Fatalf("no database in %s: %v", from, err)
	}
	out, err := exec.CommandContext(context.Background(), "cp", append(files, to)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("copy database: %v\n%s", err, out)
	}
}
