package sim

import (
	"cmp"
	"slices"
	"strings"
)

type drive struct {
	path, controller string
	number, location int
}

type card struct {
	name, switchName, mac string
	vlan                  int
}

func checkMemory(class, name string, bytes int64) error {
	if bytes%(2<<20) != 0 || bytes < 32<<20 {
		return memoryOdd.of(class, name, "Invalid memory value assigned for '%s'. Memory values must be properly aligned.", name)
	}
	return nil
}

// change is what Set-VM does to the hardware: only of a machine that is off.
func (h *Host) resize(m *machine, cpus int, memoryBytes int64) error {
	const class = hyperV + "SetVM"
	switch {
	case !m.off():
		return notOff.of(class, m.name, "The operation cannot be performed while the virtual machine is in its current state.")
	case cpus < 1 || cpus > hostCPUs || m.generation == 1 && cpus > 64:
		return tooManyCPUs.of(class, m.name, "The number of processors is out of range.")
	}
	if err := checkMemory(class, m.name, memoryBytes); err != nil {
		return err
	}
	m.cpus, m.memoryBytes = cpus, memoryBytes
	return nil
}

// addDrive is Add-VMHardDiskDrive.
func (h *Host) addDrive(m *machine, d drive) error {
	const class = hyperV + "AddVMHardDiskDrive"
	places := map[string]int{"SCSI": 64, "IDE": 2}[d.controller]
	if m.generation == 2 && d.controller == "IDE" {
		places = 0
	}
	taken := slices.ContainsFunc(m.disks, func(has drive) bool {
		return has.controller == d.controller && has.number == d.number && has.location == d.location
	})
	switch {
	case taken || d.location >= places:
		return placeTaken.of(class, m.name, "There is no such place, or it is taken.")
	case m.generation == 2 && strings.HasSuffix(key(d.path), ".vhd"):
		return notVHDX.of(class, m.name, "Generation 2 virtual machines support only VHDX.")
	case !m.off() && d.controller == "IDE":
		return notOff.of(class, m.name, "The operation cannot be performed while the virtual machine is in its current state.")
	}
	if err := h.testVHD(d.path); err != nil {
		return err
	}
	m.disks = append(m.disks, d)
	return nil
}

// addCard is Add-VMNetworkAdapter -StaticMacAddress: one that another has is taken.
func (h *Host) addCard(m *machine, name, switchName, mac string) (*card, error) {
	if !slices.Contains(h.options.Switches, switchName) {
		return nil, noSwitch.of(hyperV+"AddVMNetworkAdapter", switchName, "A parameter is invalid. No switch can be found by given criteria.")
	}
	c := &card{name: name, switchName: switchName, mac: mac}
	m.nics = append(m.nics, c)
	return c, nil
}

// setVLAN is Set-VMNetworkAdapterVlan -Access.
func (h *Host) setVLAN(c *card, vlan int) error {
	if vlan < 1 || vlan > 4094 {
		return badVLAN.of(hyperV+"SetVMNetworkAdapterVlan", c.name, "The VLAN ID is not valid.")
	}
	c.vlan = vlan
	return nil
}

// setFirmware is Set-VMFirmware; without a template the one that is set stays.
func (h *Host) setFirmware(m *machine, firstBoot string, secureBoot bool, template string) error {
	if m.generation != 2 {
		return noFirmware.of(hyperV+"SetVMFirmware", m.name, "Firmware settings are for generation 2.")
	}
	m.firstBoot, m.secureBoot, m.template = firstBoot, secureBoot, cmp.Or(template, m.template)
	return nil
}

// enableTPM is Enable-VMTPM.
func (h *Host) enableTPM(m *machine) error {
	if !m.keyProtector || m.generation != 2 || !m.off() {
		return noTPM.of(hyperV+"EnableVMTPM", m.name, "The virtual machine has no key protector.")
	}
	m.tpm = true
	return nil
}
