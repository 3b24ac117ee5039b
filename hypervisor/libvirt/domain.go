package libvirt

import (
	"encoding/xml"
	"fmt"

	"libvirt.org/go/libvirtxml"

	"ingot/hypervisor"
	"ingot/inventory"
)

const (
	// diskLetters is how many disks get a name of vda to vdy; vdz is the seed, so that it
	// comes after the others.
	diskLetters = 25
	seedTarget  = "vdz"
	// agentChannel is what qemu-guest-agent listens on.
	agentChannel = "org.qemu.guest_agent.0"
)

// build is all that a domain's description is made of.
type build struct {
	spec     hypervisor.Spec
	uuid     string
	name     string
	identity identity
	kvm      bool
	// disks are the files in order; seed is empty for none.
	disks []string
	seed  string
	nvram string
	// console is where what the serial port says is kept.
	console string
	nics    []libvirtxml.DomainInterface
}

// xml is the domain. Firmware files are libvirt's choice (formatdomain, "Operating system
// booting"), by what they can do.
func (b build) xml() (string, error) {
	meta, err := xml.Marshal(b.identity)
	if err != nil {
		return "", fmt.Errorf("libvirt: describe machine %s: %w", b.spec.ID, err)
	}
	d := libvirtxml.Domain{
		Type: "qemu", Name: b.name, UUID: b.uuid, Title: b.spec.Name,
		Metadata: &libvirtxml.DomainMetadata{XML: string(meta)},
		Memory:   &libvirtxml.DomainMemory{Value: uint(b.spec.MemoryBytes >> 10), Unit: "KiB"},
		VCPU:     &libvirtxml.DomainVCPU{Value: uint(b.spec.CPUs)},
		OS:       &libvirtxml.DomainOS{Type: &libvirtxml.DomainOSType{Machine: "q35", Type: "hvm"}},
		Features: &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}, APIC: &libvirtxml.DomainFeatureAPIC{}},
		// Emulated, "maximum" is all that QEMU knows; today's systems refuse its default.
		CPU:        &libvirtxml.DomainCPU{Mode: "maximum"},
		Clock:      &libvirtxml.DomainClock{Offset: "utc"},
		OnPoweroff: "destroy", OnReboot: "restart", OnCrash: "destroy",
		Devices: b.devices(),
	}
	if b.kvm {
		d.Type, d.CPU = "kvm", &libvirtxml.DomainCPU{Mode: "host-passthrough", Check: "none"}
	}
	b.firmware(&d)
	if b.spec.TPM {
		d.Devices.TPMs = []libvirtxml.DomainTPM{{Model: "tpm-crb",
			Backend: &libvirtxml.DomainTPMBackend{Emulator: &libvirtxml.DomainTPMBackendEmulator{Version: "2.0"}}}}
	}
	return d.Marshal()
}

// firmware asks for UEFI, with the variables in a file of the pool. Secure Boot needs SMM,
// without which the system could write the variables itself.
func (b build) firmware(d *libvirtxml.Domain) {
	if b.spec.Firmware != inventory.FirmwareUEFI {
		return
	}
	yesNo := map[bool]string{true: "yes", false: "no"}[b.spec.SecureBoot]
	d.OS.Firmware = "efi"
	d.OS.FirmwareInfo = &libvirtxml.DomainOSFirmwareInfo{Features: []libvirtxml.DomainOSFirmwareFeature{
		{Name: "enrolled-keys", Enabled: yesNo}, {Name: "secure-boot", Enabled: yesNo}}}
	d.OS.NVRam = &libvirtxml.DomainNVRam{NVRam: b.nvram}
	if b.spec.SecureBoot {
		d.Features.SMM = &libvirtxml.DomainFeatureSMM{State: "on"}
	}
}

func (b build) devices() *libvirtxml.DomainDeviceList {
	port := uint(0)
	pty := &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}}
	l := &libvirtxml.DomainDeviceList{
		Interfaces: b.nics,
		Serials: []libvirtxml.DomainSerial{{Source: pty, Target: &libvirtxml.DomainSerialTarget{Port: &port},
			Log: &libvirtxml.DomainChardevLog{File: b.console, Append: "on"}}},
		Channels: []libvirtxml.DomainChannel{{Source: &libvirtxml.DomainChardevSource{UNIX: &libvirtxml.DomainChardevSourceUNIX{Mode: "bind"}},
			Target: &libvirtxml.DomainChannelTarget{VirtIO: &libvirtxml.DomainChannelTargetVirtIO{Name: agentChannel}}}},
		RNGs: []libvirtxml.DomainRNG{{Model: "virtio",
			Backend: &libvirtxml.DomainRNGBackend{Random: &libvirtxml.DomainRNGBackendRandom{Device: "/dev/urandom"}}}},
		MemBalloon: &libvirtxml.DomainMemBalloon{Model: "virtio"},
	}
	for i, file := range b.disks {
		l.Disks = append(l.Disks, disk(file, "qcow2", fmt.Sprintf("vd%c", 'a'+i)))
	}
	l.Disks[0].Boot = &libvirtxml.DomainDeviceBoot{Order: 1}
	if len(l.Interfaces) > 0 {
		l.Interfaces[0].Boot = &libvirtxml.DomainDeviceBoot{Order: 2}
	}
	if b.seed != "" {
		seed := disk(b.seed, "raw", seedTarget)
		// A raw disk that can be written would keep libvirt from making snapshots.
		seed.ReadOnly, seed.Snapshot = &libvirtxml.DomainDiskReadOnly{}, "no"
		l.Disks = append(l.Disks, seed)
	}
	return l
}

// disk is a file, never a volume: virt-aa-helper does not resolve volumes, and AppArmor
// then keeps QEMU from them (dmacvicar/terraform-provider-libvirt#1163).
func disk(file, format, target string) libvirtxml.DomainDisk {
	return libvirtxml.DomainDisk{Device: "disk",
		Driver: &libvirtxml.DomainDiskDriver{Name: "qemu", Type: format, Discard: "unmap"},
		Source: &libvirtxml.DomainDiskSource{File: &libvirtxml.DomainDiskSourceFile{File: file}},
		Target: &libvirtxml.DomainDiskTarget{Dev: target, Bus: "virtio"}}
}
