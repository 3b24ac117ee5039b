package sim

import (
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
