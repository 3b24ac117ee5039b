package e2e

import (
	"bytes"
	"os"
	"testing"
	"time"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/inventory/api"
	"ingot/pxe/lab"
)

// row is one line of the boot matrix. Image is deployed to phone-home; without one the
// row ends with the agent's facts.
type row struct {
	name    string
	machine lab.Machine
	image   string
	flags   []string
	secure  inventory.SecureBootState
}

const (
	gib         = 1 << 30
	tinyLimit   = 5 * time.Minute
	debianLimit = 12 * time.Minute
)

func machine(fw qemu.Firmware, bus qemu.Bus, nic qemu.NICModel) lab.Machine {
	return lab.Machine{Name: "m", Firmware: fw, Disks: []lab.Disk{{Bus: bus, SizeBytes: 4 * gib}},
		NICs: []lab.NIC{{Network: serverNetwork, Model: nic}}}
}

var authoritative = []string{"--dhcp", "authoritative"}

func TestMatrix(t *testing.T) {
	need(t)
	secureHTTP := machine(qemu.FirmwareSecureBoot, qemu.BusVirtio, qemu.NICVirtio)
	secureHTTP.HTTPFirst = true
	rows := []row{
		{name: "bios-virtio", machine: machine(qemu.FirmwareBIOS, qemu.BusVirtio, qemu.NICVirtio), image: "debian-12", flags: authoritative},
		{name: "secureboot-scsi", machine: machine(qemu.FirmwareSecureBoot, qemu.BusSCSI, qemu.NICVirtio), image: "debian-12", flags: authoritative, secure: inventory.SecureBootOn},
		{name: "uefi-nvme", machine: machine(qemu.FirmwareUEFI, qemu.BusNVMe, qemu.NICVirtio), image: "tiny", flags: authoritative},
		{name: "uefi-http-sata", machine: machine(qemu.FirmwareUEFIHTTP, qemu.BusSATA, qemu.NICVirtio), image: "tiny", flags: authoritative},
		{name: "bios-e1000e-megasas", machine: machine(qemu.FirmwareBIOS, qemu.BusMegaSAS, qemu.NICE1000E), flags: authoritative},
		{name: "uefi-vmxnet3-pvscsi", machine: machine(qemu.FirmwareUEFI, qemu.BusPVSCSI, qemu.NICVMXNET3), flags: authoritative},
		{name: "secureboot-http-first", machine: secureHTTP, flags: authoritative, secure: inventory.SecureBootOn},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			guest(t)
			r := newRack(t, lab.Spec{Machines: []lab.Machine{row.machine}}, row.flags...)
			r.start()
			r.power("m", lab.On)
			m := r.approved("m")
			if row.secure != "" && m.Status.SecureBoot != row.secure {
				t.Errorf("Secure Boot is %q, want %q", m.Status.SecureBoot, row.secure)
			}
			if row.image == "" {
				return
			}
			r.deploy("m", api.Deploy{Image: row.image, Hostname: "web1", UserData: "#cloud-config\n# " + secretText + "\n"})
			r.checkDeployed(row.image)
			if row.image == "debian-12" {
				r.scrubbed("m")
			}
		})
	}
}

// checkDeployed waits for phone-home and looks at what the system said of itself.
func (r *rack) checkDeployed(image string) {
	r.t.Helper()
	limit := tinyLimit
	if image == "debian-12" {
		limit = debianLimit
	}
	m := r.deployed("m", limit)
	p := m.Status.PhoneHome
	if p == nil || p.Hostname != "web1" {
		r.t.Errorf("phone-home says %+v, want hostname web1", p)
	}
	if image == "debian-12" && len(p.HostKeys) == 0 {
		r.t.Error("the installed system has no SSH host keys of its own")
	}
}

// secretText stands for a secret in user data.
const secretText = "this-is-read-once"

// scrubbed checks that the seed on the disk no longer holds the user data: it is in the
// last MiB but one before the backup partition table.
func (r *rack) scrubbed(machine string) {
	r.t.Helper()
	f, err := os.Open(r.lab.DiskPath(machine, 0))
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	end := make([]byte, 8<<20)
	if _, err := f.ReadAt(end, 4*gib-int64(len(end))); err != nil {
		r.t.Fatal(err)
	}
	if !bytes.Contains(end, []byte("CIDATA")) {
		r.t.Error("there is no seed at the end of the disk")
	}
	if bytes.Contains(end, []byte(secretText)) {
		r.t.Error("the seed still holds the user data after the phone-home")
	}
}
