package hyperv

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"ingot/hypervisor"
	"ingot/inventory"
)

// What Hyper-V takes.
const (
	// memoryStep and memoryMin: memory is an even number of MiB (kubernetes/minikube#17325),
	// at least 32 (Set-VMMemory -StartupBytes).
	memoryStep = 2 << 20
	memoryMin  = 32 << 20
	// diskStep: New-VHD refuses 2000000000 bytes, which is a multiple of 512
	// (PowerShell/PowerShell#25761).
	diskStep = 4 << 10
	diskMin  = 3 << 20
	// diskMax is that of a VHDX (MS-VHDX 2).
	diskMax = 64 << 40
	// nicsMax is of synthetic NICs in Windows Server 2016 ("Plan for Hyper-V scalability").
	nicsMax = 8
	// biosCPUs is of generation 1 (the same).
	biosCPUs = 64
	// A SCSI controller has 64 places (dsccommunity/HyperVDsc, VMHardDiskDrive). The seed
	// has the last.
	seedLocation = 63
	disksMax     = 63

	scsi, ide  = "SCSI", "IDE"
	whyNoImage = "an empty disk stands on no image"
)

// job is a machine to be made, with all that had to be looked up.
type job struct {
	spec     hypervisor.Spec
	image    *image
	switches []string
}

// generation of Hyper-V's machines: 2 has UEFI, 1 a BIOS.
func (j job) generation() int {
	if j.spec.Firmware == inventory.FirmwareBIOS {
		return 1
	}
	return 2
}

func (j job) clone() (hypervisor.CloneKind, string) {
	if j.image == nil {
		return hypervisor.FullCopy, whyNoImage
	}
	return hypervisor.LinkedClone, ""
}

// rootSize is the root disk's: the one asked for, or else the image's.
func (j job) rootSize() int64 {
	if size := j.spec.Disks[0].SizeBytes; size != 0 || j.image == nil {
		return size
	}
	return j.image.sizeBytes
}

// prepare checks a spec against the host and looks up what it names. It changes nothing.
// For a plan, the image may still have to come.
func (d *Driver) prepare(ctx context.Context, spec hypervisor.Spec, plan bool) (job, error) {
	j := job{spec: spec}
	if err := j.check(d.can); err != nil {
		return j, err
	}
	p, err := d.place(ctx)
	if err != nil {
		return j, err
	}
	if spec.Image != "" {
		img, err := d.imageIn(p, spec.Image)
		if errors.Is(err, inventory.ErrNotFound) && plan && spec.ImageBytes > 0 {
			img, err = image{digest: spec.Image, path: d.paths.image(spec.Image), sizeBytes: spec.ImageBytes, toCome: true}, nil
		}
		if err != nil {
			return j, err
		}
		j.image = &img
		if err := j.checkRoot(); err != nil {
			return j, err
		}
	}
	for i, n := range spec.NICs {
		name, err := chooseSwitch(p.Switches, n.Network, d.config.Network)
		if err != nil {
			return j, fmt.Errorf("machine %s: NIC %d: %w", spec.Name, i, err)
		}
		j.switches = append(j.switches, name)
	}
	return j, nil
}

// checkRoot compares the root disk with the image.
func (j job) checkRoot() error {
	has, want := j.image.sizeBytes, j.rootSize()
	if want < has {
		return inventory.Invalid("machine %s: root disk of %d bytes is smaller than the image (%d)", j.spec.Name, want, has)
	}
	if err := checkSize(want); want > has && err != nil {
		return fmt.Errorf("machine %s: root disk: %w", j.spec.Name, err)
	}
	return nil
}

// check reports what Hyper-V would not take.
func (j job) check(can hypervisor.Capabilities) error {
	s := j.spec
	if err := s.Check(); err != nil {
		return err
	}
	switch {
	case s.MemoryBytes%memoryStep != 0 || s.MemoryBytes < memoryMin:
		return inventory.Invalid("machine %s: memory of %d bytes (Hyper-V wants a multiple of 2 MiB, at least 32)", s.Name, s.MemoryBytes)
	case len(s.Disks) > disksMax:
		return inventory.Invalid("machine %s: %d disks (want at most %d)", s.Name, len(s.Disks), disksMax)
	case len(s.NICs) > nicsMax:
		return inventory.Invalid("machine %s: %d NICs (want at most %d)", s.Name, len(s.NICs), nicsMax)
	case j.generation() == 1 && s.CPUs > biosCPUs:
		return inventory.Invalid("machine %s: %d CPUs (with BIOS, Hyper-V gives at most %d)", s.Name, s.CPUs, biosCPUs)
	case s.TPM && j.generation() == 1:
		return fmt.Errorf("machine %s: Hyper-V gives a TPM to machines with UEFI only: %w", s.Name, inventory.ErrUnsupported)
	case s.TPM && !can.TPM:
		return fmt.Errorf("machine %s: this host has no virtual TPM (Windows Server 2016 has): %w", s.Name, inventory.ErrUnsupported)
	}
	for i, one := range s.Disks {
		if one.SizeBytes != 0 && checkSize(one.SizeBytes) != nil && (i > 0 || s.Image == "") {
			return fmt.Errorf("machine %s: disk %d: %w", s.Name, i, checkSize(one.SizeBytes))
		}
	}
	return nil
}

// checkSize reports a size that New-VHD and Resize-VHD refuse.
func checkSize(bytes int64) error {
	if bytes%diskStep != 0 || bytes < diskMin || bytes > diskMax {
		return inventory.Invalid("%d bytes (Hyper-V wants a multiple of 4 KiB, from 3 MiB to 64 TiB)", bytes)
	}
	return nil
}

// defaultSwitch is the one that client Windows makes, with NAT.
const defaultSwitch = "Default Switch"

// chooseSwitch is the switch that a NIC goes to.
func chooseSwitch(there []switchAnswer, asked, configured string) (string, error) {
	if asked == "" {
		asked = configured
	}
	var names []string
	for _, s := range there {
		if s.Name == asked || asked == "" && (s.Name == defaultSwitch || len(there) == 1) {
			return s.Name, nil
		}
		names = append(names, fmt.Sprintf("%q (%s)", s.Name, s.Type))
	}
	choices := "there is none (New-VMSwitch makes one)"
	if len(names) > 0 {
		choices = "there are " + strings.Join(names, ", ")
	}
	if asked == "" {
		return "", inventory.Invalid("which virtual switch? %s", choices)
	}
	return "", fmt.Errorf("no virtual switch %q: %s: %w", asked, choices, inventory.ErrNotFound)
}
