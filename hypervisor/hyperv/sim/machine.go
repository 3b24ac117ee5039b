package sim

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// machine is a virtual machine.
type machine struct {
	id, name, notes, path   string
	generation, cpus        int
	memoryBytes             int64
	state                   string
	disks                   []drive
	nics                    []*card
	secureBoot              bool
	template                string
	firstBoot               string
	keyProtector, tpm       bool
	autoCheckpoints         bool
	checkpointType          string
	startAction, stopAction string
	checkpoints             []*checkpoint
	parent                  string
	merging                 int
	guest                   guest
}

// guest is what runs in a machine.
type guest struct {
	// integration services run; it ignores requests to shut down; it shuts down after so
	// many looks.
	integration, deaf bool
	leaving           int
	booted            bool
	addresses         []string
}

type drive struct {
	path, controller string
	number, location int
}

type card struct {
	name, switchName, mac string
	vlan                  int
}

type checkpoint struct {
	id, name, parent string
	created          time.Time
	disks            []drive
	saved            bool
}

// runs reports whether the machine has its disks open.
func (m *machine) runs() bool {
	return m.state == "Running" || m.state == "Paused" || m.state == "Stopping"
}

func (m *machine) off() bool { return m.state == "Off" || m.state == "OffCritical" }

func (m *machine) saved() bool { return m.state == "Saved" }

func (m *machine) configFile() string { return m.path + `\Virtual Machines\` + m.id + ".vmcx" }

// advance is a look later.
func (m *machine) advance(h *Host) {
	if m.guest.leaving > 0 {
		if m.guest.leaving--; m.guest.leaving == 0 {
			m.state, m.guest.booted = "Off", false
		}
	}
	if m.merging > 0 {
		if m.merging--; m.merging == 0 {
			h.merge(m)
		}
	}
}

func (m *machine) status() []string {
	if m.merging > 0 {
		return []string{"Ok", "MergingDisks"}
	}
	return []string{"Ok"}
}

// getVM is Get-VM -Id.
func (h *Host) getVM(id string) (*machine, error) {
	if err := h.allowed("GetVM"); err != nil {
		return nil, err
	}
	for _, m := range h.machines {
		if strings.EqualFold(m.id, id) {
			return m, nil
		}
	}
	return nil, noSuchVM.of(hyperV+"GetVM", id, "Hyper-V was unable to find a virtual machine with ID %s.", id)
}

// allowed is the check of the login's rights.
func (h *Host) allowed(class string) error {
	if h.denied {
		return denied.of(hyperV+class, "", "You do not have the required permission to complete this task.")
	}
	return nil
}

// newVM is New-VM -NoVHD, with the NIC that it makes by itself.
func (h *Host) newVM(name, folder string, generation int, memoryBytes int64) (*machine, error) {
	const class = hyperV + "NewVM"
	if err := h.allowed("NewVM"); err != nil {
		return nil, err
	}
	if err := checkName(class, name); err != nil {
		return nil, err
	}
	if err := checkMemory(class, name, memoryBytes); err != nil {
		return nil, err
	}
	if _, there := h.folders[key(folder)]; !there {
		return nil, pathMissing.of(class, name, "Failed to access configuration store: The system cannot find the path specified.")
	}
	m := &machine{id: h.guid(), name: name, path: folder + `\` + name, generation: generation, cpus: 1, memoryBytes: memoryBytes, state: "Off",
		secureBoot: generation == 2, template: "MicrosoftWindows", autoCheckpoints: h.options.Client, checkpointType: "Production", startAction: "StartIfRunning", stopAction: "Save",
		nics: []*card{{name: "Network Adapter", mac: "000000000000"}}}
	h.mkdir(m.path + `\Virtual Machines`)
	if _, err := h.put(m.configFile(), nil); err != nil {
		return nil, err
	}
	h.machines = append(h.machines, m)
	return m, nil
}

func checkName(class, name string) error {
	if len(utf16.Encode([]rune(name))) > 100 {
		return nameTooLong.of(class, name, "The parameter is incorrect. (0x80070057)")
	}
	return nil
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

// removeVM is Remove-VM: the disks stay, and those of checkpoints are merged first.
func (h *Host) removeVM(m *machine) error {
	if !m.off() && !m.saved() {
		return notOff.of(hyperV+"RemoveVM", m.name, "The operation cannot be performed while the virtual machine is in its current state.")
	}
	for _, d := range m.disks {
		if f := h.files[key(d.path)]; f != nil && len(m.checkpoints) > 0 {
			f.merging = h.options.Looks
		}
	}
	h.machines = slices.DeleteFunc(h.machines, func(other *machine) bool { return other == m })
	delete(h.files, key(m.configFile()))
	return nil
}
