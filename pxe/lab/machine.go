package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"ingot/hypervisor/qemu"
)

func (l *Lab) machineDir(name string) string { return filepath.Join(l.dir, machinesDir, name) }

func (l *Lab) diskPath(machine string, disk int) string {
	return filepath.Join(l.machineDir(machine), fmt.Sprintf("disk%d.raw", disk))
}

// buildMachine makes directory, disks and taps. Disks of an earlier rack in the
// same directory are kept when they have the right size.
func (l *Lab) buildMachine(ctx context.Context, m Machine, number int) error {
	if err := os.MkdirAll(l.machineDir(m.Name), 0o700); err != nil {
		return err
	}
	for i, d := range m.Disks {
		if err := blankDisk(l.diskPath(m.Name, i), d.SizeBytes); err != nil {
			return fmt.Errorf("machine %q: make disk %d: %w", m.Name, i, err)
		}
	}
	if err := l.checkMachine(m, number); err != nil {
		return err
	}
	return l.spec.upTaps(ctx, m, number)
}

// checkMachine finds what QEMU would refuse while there is still nothing to take away.
// Boot media may be made after the rack.
func (l *Lab) checkMachine(m Machine, number int) error {
	m.CDROM, m.USBDisk = "", ""
	c, err := l.config(m, number)
	if err != nil {
		return err
	}
	return c.Validate()
}

// blankDisk makes a sparse file, or keeps the one that is there.
func blankDisk(path string, sizeBytes int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch info.Size() {
	case sizeBytes:
		return nil
	case 0:
		return f.Truncate(sizeBytes)
	}
	return fmt.Errorf("%s of an earlier rack has %d bytes, not %d: remove it", path, info.Size(), sizeBytes)
}

// config is the machine as QEMU takes it.
func (l *Lab) config(m Machine, number int) (qemu.Config, error) {
	c := qemu.Config{
		Name: m.Name, Dir: l.machineDir(m.Name), Namespace: l.spec.namespace(), Detach: !l.spec.Attached,
		UUID: m.UUID, SMBIOS: m.SMBIOS,
		Firmware: m.Firmware, HTTPFirst: m.HTTPFirst, Boot: m.Boot, FixedBoot: m.FixedBoot,
		MemoryMiB: m.MemoryMiB, CPUs: m.CPUs, Accelerator: l.spec.Accelerator,
		CDROM: m.CDROM, USBDisk: m.USBDisk, TPM: m.TPM, ExtraArgs: m.ExtraArgs,
	}
	for i, d := range m.Disks {
		c.Disks = append(c.Disks, qemu.Disk{
			Path: l.diskPath(m.Name, i), Format: "raw", Bus: d.Bus, Serial: d.Serial, WWN: d.WWN,
			SectorBytes: d.SectorBytes, IgnoreFlush: true,
		})
	}
	for i, n := range m.NICs {
		mac, err := net.ParseMAC(n.MAC)
		if err != nil {
			return c, err
		}
		network, _ := l.spec.network(n.Network)
		c.Namespace = l.spec.namespaceOf(network)
		c.NICs = append(c.NICs, qemu.NIC{Tap: tapName(number, i), MAC: mac, Model: n.Model, BootIndex: n.BootIndex})
	}
	return c, nil
}
