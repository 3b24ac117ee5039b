package qemu

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
)

// userNetwork is the user-mode network's default.
var userNetwork = netip.MustParsePrefix("10.0.2.0/24")

var (
	uuidForm    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	channelForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// Validate reports everything in the configuration that QEMU would refuse or,
// worse, silently change. Files must exist; nothing is started.
func (c Config) Validate() error {
	errs := []error{
		oneOf("firmware", c.Firmware, FirmwareBIOS, FirmwareUEFI, FirmwareUEFIHTTP, FirmwareSecureBoot),
		oneOf("accelerator", c.Accelerator, AcceleratorTCG, AcceleratorKVM),
		oneOf("boot order", c.Boot, "", BootNetwork, BootDisk, BootMedia),
	}
	if c.Name == "" || c.Dir == "" {
		errs = append(errs, errors.New("name and directory are required"))
	}
	if c.MemoryMiB <= 0 {
		errs = append(errs, fmt.Errorf("memory %d MiB: give a positive number", c.MemoryMiB))
	}
	if c.UUID != "" && !uuidForm.MatchString(c.UUID) {
		errs = append(errs, fmt.Errorf("uuid %q: want the form 8-4-4-4-12 in hexadecimal", c.UUID))
	}
	if c.Kernel == "" && (c.Initrd != "" || c.Append != "") {
		errs = append(errs, errors.New("initrd and append need a kernel"))
	}
	if c.Channel != "" && !channelForm.MatchString(c.Channel) {
		errs = append(errs, fmt.Errorf("channel %q: want a name of letters, digits, dots, - and _", c.Channel))
	}
	errs = append(errs, c.validateHTTPFirst(), c.validateFiles())
	for i, d := range c.Disks {
		if err := d.validate(); err != nil {
			errs = append(errs, fmt.Errorf("disk %d: %w", i, err))
		}
	}
	for i, n := range c.NICs {
		if err := n.validate(); err != nil {
			errs = append(errs, fmt.Errorf("network card %d: %w", i, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("machine %q: %w", c.Name, err)
	}
	return nil
}

func (c Config) validateHTTPFirst() error {
	if !c.HTTPFirst {
		return nil
	}
	if c.Firmware != FirmwareUEFI && c.Firmware != FirmwareSecureBoot {
		return fmt.Errorf("HTTP first with firmware %q: it needs %q or %q", c.Firmware, FirmwareUEFI, FirmwareSecureBoot)
	}
	if c.FixedBoot {
		return errors.New("HTTP first with a fixed boot order: QEMU cannot tell HTTP from PXE of one card")
	}
	for i, n := range c.NICs {
		if n.Model != NICVirtio {
			return fmt.Errorf("HTTP first with network card %d of model %q: only %q has the firmware's own loaders", i, n.Model, NICVirtio)
		}
	}
	return nil
}

func (c Config) validateFiles() error {
	var errs []error
	for _, f := range []string{c.CDROM, c.USBDisk, c.Kernel, c.Initrd} {
		if f == "" {
			continue
		}
		if _, err := os.Stat(f); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (d Disk) validate() error {
	if err := oneOf("bus", d.Bus, BusVirtio, BusSCSI, BusSATA, BusNVMe, BusMegaSAS, BusPVSCSI, BusMPTSAS); err != nil {
		return err
	}
	if err := oneOf("sector size", d.SectorBytes, 0, 512, 4096); err != nil {
		return err
	}
	switch {
	case d.Format == "":
		return errors.New("format is required, for example raw")
	case d.Bus == BusNVMe && d.Serial == "":
		return errors.New("an nvme disk needs a serial")
	case d.Bus == BusVirtio && d.WWN != 0:
		return errors.New("a virtio disk has no world wide name; use scsi, sata or nvme")
	case d.Bus == BusSATA && d.SectorBytes == 4096:
		return errors.New("QEMU's sata disk has 512-byte sectors only; use nvme, scsi or virtio for 4096")
	}
	_, err := os.Stat(d.Path)
	return err
}

func (n NIC) validate() error {
	if len(n.MAC) != 6 {
		return fmt.Errorf("mac %q: want 6 bytes", n.MAC)
	}
	if n.MAC[0]&1 != 0 {
		return fmt.Errorf("mac %s is a group address: the lowest bit of its first byte must be 0", n.MAC)
	}
	if (n.Restrict || n.Forwards != nil) && n.Tap != "" {
		return fmt.Errorf("tap %s with a restricted network or forwards: only the user-mode network has them", n.Tap)
	}
	for _, f := range n.Forwards {
		if !userNetwork.Contains(f.Address.Addr()) || f.Address.Port() == 0 || f.Socket == "" {
			return fmt.Errorf("forward of %s to %q: want an address in %s, a port and a socket", f.Address, f.Socket, userNetwork)
		}
	}
	return oneOf("model", n.Model, NICVirtio, NICE1000E, NICVMXNET3)
}

func oneOf[T comparable](what string, got T, allowed ...T) error {
	if slices.Contains(allowed, got) {
		return nil
	}
	var zero T
	allowed = slices.DeleteFunc(slices.Clone(allowed), func(v T) bool { return v == zero })
	return fmt.Errorf("%s %v: use one of %v", what, quoted(got), allowed)
}

func quoted[T any](v T) string {
	if n, ok := any(v).(int); ok {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%q", fmt.Sprint(v))
}
