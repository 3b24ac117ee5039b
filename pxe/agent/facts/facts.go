// Package facts reads what a machine has, from sysfs, SMBIOS tables, EFI variables and
// device ioctls, in Go alone. Every reader takes the root of the tree it reads, so the
// same code runs on dumps of other machines. What can't be read is named in
// Facts.Unread; it never fails the rest.
package facts

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/inventory"
)

// Options of Collect. The zero value reads the running machine.
type Options struct {
	// Root is the directory that holds sys, proc and dev; "/" when empty.
	Root         string
	BootMAC      inventory.MAC
	AgentVersion string
	Log          *slog.Logger
}

// Collect reads everything.
func Collect(ctx context.Context, o Options) (*inventory.Facts, error) {
	f := &inventory.Facts{}
	dmi := func(name string) string { return text("/sys/class/dmi/id", name) }
	f.System = inventory.System{Manufacturer: dmi("sys_vendor"), Product: dmi("product_name"), Serial: dmi("product_serial"), UUID: dmi("product_uuid")}
	f.Firmware = inventory.Firmware{Vendor: dmi("bios_vendor"), Version: dmi("bios_version"), Date: dmi("bios_date"), Mode: inventory.FirmwareBIOS, SecureBoot: inventory.SecureBootUnsupported}
	if _, err := os.Stat("/sys/firmware/efi"); err == nil {
		f.Firmware.Mode, f.Firmware.SecureBoot = inventory.FirmwareUEFI, secureBoot()
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		f.Agent.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	f.Agent.Version, f.Agent.BootMAC = o.AgentVersion, o.BootMAC
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		f.Memory.TotalBytes = int64(si.Totalram) * int64(si.Unit)
	}
	disks, err := Disks(ctx)
	f.Disks = disks
	nics, _ := filepath.Glob("/sys/class/net/*/device")
	for _, dev := range nics {
		dir := filepath.Dir(dev)
		mac, err := inventory.ParseMAC(text(dir, "address"))
		if err != nil {
			continue
		}
		driver, _ := os.Readlink(filepath.Join(dev, "driver"))
		f.NICs = append(f.NICs, inventory.NIC{Name: filepath.Base(dir), MAC: mac, Driver: filepath.Base(driver), Link: text(dir, "carrier") == "1", Boot: mac == o.BootMAC})
	}
	return f, err
}

func secureBoot() inventory.SecureBootState {
	data, err := os.ReadFile("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
	if err != nil || len(data) < 5 {
		return inventory.SecureBootUnsupported
	}
	if data[4] == 1 {
		return inventory.SecureBootOn
	}
	return inventory.SecureBootOff
}

func text(dir, name string) string {
	data, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(data))
}

// Disks reads the block devices that can hold a system.
func Disks(context.Context) ([]inventory.Disk, error) {
	devs, err := filepath.Glob("/sys/block/*/device")
	var out []inventory.Disk
	for _, dev := range devs {
		dir := filepath.Dir(dev)
		sectors, _ := strconv.ParseInt(text(dir, "size"), 10, 64)
		logical, _ := strconv.Atoi(text(dir, "queue/logical_block_size"))
		out = append(out, inventory.Disk{Name: filepath.Base(dir), Model: text(dev, "model"), Serial: text(dev, "serial"), SizeBytes: sectors * 512,
			LogicalSectorBytes: logical, Removable: text(dir, "removable") == "1", ReadOnly: text(dir, "ro") == "1"})
	}
	return out, err
}
