package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/pxe/lab"
)

// TestMedia boots machines from a CD and from a USB stick to their facts; none of them is
// known to the boot service, and no boot file is fetched.
func TestMedia(t *testing.T) {
	need(t)
	for _, c := range []struct {
		name, verb string
		firmware   qemu.Firmware
		secure     inventory.SecureBootState
	}{
		{"bios-cd", "iso", qemu.FirmwareBIOS, ""},
		{"secureboot-usb", "usb", qemu.FirmwareSecureBoot, inventory.SecureBootOn},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			guest(t)
			medium := filepath.Join(t.TempDir(), "agent."+c.verb)
			m := machine(c.firmware, qemu.BusVirtio, qemu.NICVirtio)
			m.Boot = qemu.BootMedia
			m.NICs = append(m.NICs, m.NICs[0])
			m.NICs[0].Network, m.NICs[0].BootIndex, m.NICs[1].BootIndex = "dark", -1, -1
			if c.verb == "usb" {
				m.USBDisk = medium
			} else {
				m.CDROM = medium
			}
			networks := []lab.Network{{Name: serverNetwork, Address: rackAddress}, {Name: "dark"}}
			r := newRack(t, lab.Spec{Networks: networks, Machines: []lab.Machine{m}}, authoritative...)
			r.start()
			r.medium(c.verb, medium)
			r.power("m", lab.On)
			found := r.agentUp("m")
			if found.Status.State != inventory.Discovered || found.Status.SecureBoot != c.secure && c.secure != "" {
				t.Errorf("it is %s, Secure Boot %q", found.Status.State, found.Status.SecureBoot)
			}
			for _, e := range r.events(found.ID) {
				if e.Kind == inventory.EventBootFile || e.Kind == inventory.EventBootScript {
					t.Errorf("it booted from the network: %s", e.Text())
				}
			}
		})
	}
}

// medium makes a boot medium as a user would.
func (r *rack) medium(verb, out string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), built.ingot, "agent", verb, "--data", r.data, "--out", out, "--address", rackAddress.Addr().String())
	cmd.Env = append(os.Environ(), "INGOT_CACHE="+filepath.Dir(built.seedData))
	if text, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("make medium: %v\n%s", err, text)
	}
}
