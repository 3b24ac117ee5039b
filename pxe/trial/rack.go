package trial

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/pxe/lab"
)

// network is the rack's, and its interface's name.
const network = "rack"

// address is the test's server's. The network is in a namespace of its own and reaches
// nothing: any address does.
var address = netip.MustParsePrefix("10.66.0.1/24")

// disks want drivers of the second stage.
var disks = []lab.Disk{{Bus: qemu.BusNVMe, SizeBytes: 1 << 30}, {Bus: qemu.BusSATA, SizeBytes: 1 << 30}}

// wantDisks is what the facts say of them.
var wantDisks = regexp.MustCompile(`\b2 disks\b`)

// firmwares and chains by mode: together they use each loader of the set but ipxe.efi.
var (
	firmwares = map[string]qemu.Firmware{BIOS: qemu.FirmwareBIOS, UEFI: qemu.FirmwareUEFI, SecureBoot: qemu.FirmwareSecureBoot}
	chains    = map[string]inventory.BootChain{BIOS: inventory.ChainUndionly, UEFI: inventory.ChainSNP, SecureBoot: inventory.ChainShim}
)

// spec is the rack. Its name is this directory's own, so that two servers on a host can
// test at once, and a test that was killed is found again.
func (r *run) spec() (lab.Spec, error) {
	firmware, ok := firmwares[r.mode]
	if !ok {
		return lab.Spec{}, inventory.Invalid("boot mode %q: want bios, uefi or secureboot", r.mode)
	}
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return lab.Spec{}, err
	}
	sum := sha256.Sum256([]byte(dir))
	return lab.Spec{Name: "trial-" + hex.EncodeToString(sum[:5]), Attached: true, Networks: []lab.Network{{Name: network, Address: address}},
		Machines: []lab.Machine{{Name: machineName, Firmware: firmware, Disks: disks, NICs: []lab.NIC{{Network: network}}}}}, nil
}

// config is the test's server's. Everything that could lead out of its directory is named.
const config = `data: %q
database: ""
interfaces: [` + network + `]
dhcp: authoritative
discover: true
local_host: false
kernel_args: console=tty0 console=ttyS0,115200
machine: {http_port: 7480, advertised_http_port: 0, url: "", tls_port: 7443}
networks:
  - {name: ` + network + `, subnet: %s, dhcp: authoritative, pools: [10.66.0.100-10.66.0.199], chain: %s}
`

// makeData makes the server's data directory, with a link to the set.
func (r *run) makeData(files string) error {
	files, err := filepath.Abs(files)
	if err != nil {
		return err
	}
	data, err := filepath.Abs(filepath.Join(r.dir, dataName))
	if err != nil {
		return err
	}
	boot := filepath.Join(data, "boot")
	if err := os.MkdirAll(filepath.Join(boot, "sets"), 0o700); err != nil {
		return err
	}
	if err := os.Symlink(files, filepath.Join(boot, "sets", r.set.ID)); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join("sets", r.set.ID), filepath.Join(boot, "current")); err != nil {
		return err
	}
	text := fmt.Sprintf(config, data, address.Masked(), chains[r.mode])
	return os.WriteFile(r.configPath(), []byte(text), 0o600)
}

func (r *run) configPath() string { return filepath.Join(r.dir, "ingot.yaml") }
