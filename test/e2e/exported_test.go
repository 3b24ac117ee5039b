package e2e

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/pxe/lab"
)

// TestExported: what was exported of one digest boots. From its raw.zst and its qcow2, both
// imported again, a metal machine and a VM on a real libvirtd come to their phone-home; its
// vmdk and vhdx run as they are.
func TestExported(t *testing.T) {
	need(t)
	t.Parallel()
	guest(t)
	r := newRack(t, lab.Spec{Machines: []lab.Machine{machine(qemu.FirmwareUEFI, qemu.BusVirtio, qemu.NICVirtio)}}, authoritative...)
	begun := time.Now()
	for _, format := range []string{"vmdk", "vhdx"} {
		bootsFile(t, r.export(format), format)
	}
	// What they say they boot by differs, or they would be tiny itself by another name.
	r.offline("image", "import", r.export("raw.zst"), "--name", "metal", "--boots", "uefi")
	r.offline("image", "import", r.export("qcow2"), "--name", "virtual", "--boots", "bios,uefi")
	t.Logf("exported, booted and imported after %s", time.Since(begun).Round(time.Second))
	r.start()
	for _, name := range []string{"metal", "virtual"} {
		if got, want := r.content(name), r.content("tiny"); got != want {
			t.Errorf("%s is another disk: content %s, want %s", name, got, want)
		}
	}
	h := newHost(r)
	if err := r.client.PutHost(t.Context(), api.HostAdd{Host: inventory.Host{Name: "kvm1", URL: h.url()}}); err != nil {
		t.Fatal(err)
	}
	r.power("m", lab.On)
	h.vm("vm", "virtual", "")
	r.approved("m")
	r.deploy("m", api.Deploy{Image: "metal", Hostname: "web1"})
	r.checkDeployed("metal")
	vm := h.until("vm", tinyLimit, inState(inventory.Deployed))
	if p := vm.Status.PhoneHome; p == nil || p.Hostname != "vm" {
		t.Errorf("the VM's phone-home says %+v", p)
	}
}

// offline runs the command line on the data directory of a server that does not run.
func (r *rack) offline(args ...string) {
	r.t.Helper()
	out, err := exec.CommandContext(r.t.Context(), built.ingot, append(args, "--data", r.data)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("ingot %v: %v\n%s", args, err, out)
	}
}

// content is the digest of an image's raw disk.
func (r *rack) content(name string) string {
	r.t.Helper()
	image, err := r.client.Image(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return image.ContentDigest
}

// export writes the tiny image to a file and returns its path.
func (r *rack) export(format string) string {
	r.t.Helper()
	path := filepath.Join(filepath.Dir(r.data), "disk."+format)
	r.offline("image", "export", "tiny", path, "--format", format)
	return path
}

// bootsFile runs a disk file as it is, until its system speaks.
func bootsFile(t *testing.T, path, format string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p, err := qemu.Start(ctx, qemu.Config{Name: "exported-" + format, Dir: t.TempDir(), Firmware: qemu.FirmwareBIOS, Boot: qemu.BootDisk, MemoryMiB: 512,
		Accelerator: qemu.AcceleratorTCG, Disks: []qemu.Disk{{Path: path, Format: format, Bus: qemu.BusVirtio, IgnoreFlush: true}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = p.Wait(context.WithoutCancel(ctx)) // it was killed
	}()
	console, err := p.Console(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	defer context.AfterFunc(ctx, func() { console.SetReadDeadline(time.Unix(1, 0)) })()
	var said []byte
	for b := make([]byte, 4096); !bytes.Contains(said, []byte("tiny: starting")); {
		n, err := console.Read(b)
		if said = append(said, b[:n]...); err != nil {
			t.Fatalf("%s: its system did not start: %v; console:\n%s", format, errors.Join(err, ctx.Err()), tail(printable(string(said)), 20))
		}
	}
}
