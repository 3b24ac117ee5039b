package sim

import "strings"

// startVM is Start-VM.
func (h *Host) startVM(m *machine) error {
	const class = hyperV + "StartVM"
	if m.runs() {
		return notOff.of(class, m.name, "The virtual machine is already running.")
	}
	used := m.memoryBytes
	for _, other := range h.machines {
		if other.runs() {
			used += other.memoryBytes
		}
	}
	if used > h.options.MemoryBytes {
		return outOfMemory.of(class, m.name, "'%s' could not initialize memory: Ran out of memory (0x8007000E).", m.name)
	}
	for _, d := range m.disks {
		if err := h.testVHD(d.path); err != nil {
			return err
		}
	}
	if m.autoCheckpoints && m.off() && len(m.checkpoints) == 0 {
		h.checkpoint(m, "Automatic Checkpoint - "+m.name)
	}
	m.state = "Running"
	m.guest.booted = !m.secureBoot || m.template == "MicrosoftUEFICertificateAuthority"
	m.guest.leaving = 0
	return nil
}

// stopVM is Stop-VM -TurnOff.
func (h *Host) stopVM(m *machine) error {
	if !m.runs() {
		return notOff.of(hyperV+"StopVM", m.name, "The virtual machine is not running.")
	}
	m.state, m.guest.booted, m.guest.leaving = "Off", false, 0
	return nil
}

// removeSaved is Remove-VMSavedState.
func (h *Host) removeSaved(m *machine) error {
	if !m.saved() {
		return notOff.of(hyperV+"RemoveVMSavedState", m.name, "The virtual machine has no saved state.")
	}
	m.state = "Off"
	return nil
}

// What InitiateShutdown returns (Hyper-V WMI provider V2, Msvm_ShutdownComponent).
const (
	shutdownNone     = 32770
	shutdownState    = 32775
	shutdownNotReady = 32780
)

// initiateShutdown asks the guest. A machine that does not run has no such component.
func (h *Host) initiateShutdown(m *machine) int64 {
	switch {
	case m.state == "Paused":
		return shutdownState
	case m.state != "Running":
		return shutdownNone
	case !m.guest.integration || !m.guest.booted:
		return shutdownNotReady
	case !m.guest.deaf:
		m.guest.leaving = h.options.Looks
	}
	return 0
}

// Guest says what runs in a machine: whether integration services do, whether it ignores
// requests to shut down, and its addresses.
func (h *Host) Guest(id string, integration, deaf bool, addresses ...string) {
	h.set(func() {
		if m := h.find(id); m != nil {
			m.guest.integration, m.guest.deaf, m.guest.addresses = integration, deaf, addresses
		}
	})
}

// Neighbor is an address that the host saw with a MAC, in twelve digits.
func (h *Host) Neighbor(mac, address string) {
	h.set(func() { h.neighbors[strings.ToUpper(mac)] = append(h.neighbors[strings.ToUpper(mac)], address) })
}

// Booted reports whether a machine's Linux came up: Secure Boot with the template for
// Windows keeps it from that.
func (h *Host) Booted(id string) (booted bool) {
	h.set(func() {
		if m := h.find(id); m != nil {
			booted = m.guest.booted
		}
	})
	return booted
}

// SetState brings a machine into a state, as a person would: Saved, Paused, OffCritical;
// one that is Stopping is off after some looks.
func (h *Host) SetState(id, state string) {
	h.set(func() {
		if m := h.find(id); m != nil {
			m.state, m.guest.leaving = state, 0
			if state == "Stopping" {
				m.guest.leaving = h.options.Looks
			}
		}
	})
}

// SetNotes writes a machine's notes, as a person would.
func (h *Host) SetNotes(id, notes string) {
	h.set(func() {
		if m := h.find(id); m != nil {
			m.notes = notes
		}
	})
}

// Notes are a machine's.
func (h *Host) Notes(id string) (notes string) {
	h.set(func() {
		if m := h.find(id); m != nil {
			notes = m.notes
		}
	})
	return notes
}

// Rename gives a machine another name, as a person would.
func (h *Host) Rename(id, name string) {
	h.set(func() {
		if m := h.find(id); m != nil {
			m.name = name
		}
	})
}

// SetCPUs changes a machine, as a person would.
func (h *Host) SetCPUs(id string, cpus int) {
	h.set(func() {
		if m := h.find(id); m != nil {
			m.cpus = cpus
		}
	})
}

// find is the machine of a GUID; nil when it is gone.
func (h *Host) find(id string) *machine {
	for _, m := range h.machines {
		if strings.EqualFold(m.id, id) {
			return m
		}
	}
	return nil
}

// Unregister removes a machine and leaves its disks, as Remove-VM does.
func (h *Host) Unregister(id string) {
	h.set(func() {
		if m := h.find(id); m != nil {
			m.state = "Off"
			h.removeVM(m)
		}
	})
}

// AddMachine makes a machine that is nobody's; its GUID is returned.
func (h *Host) AddMachine(name, notes string, generation int) (id string) {
	h.set(func() {
		folder := `D:\VMs`
		h.mkdir(folder)
		if m, err := h.newVM(name, folder, generation, 512<<20); err == nil {
			m.notes, id = notes, m.id
			path := folder + `\` + m.id + ".vhdx"
			if h.newVHD(path, "", 1<<30, 1<<20) == nil {
				m.disks = []drive{{path: path, controller: "SCSI"}}
			}
			m.nics[0].mac = "00155D" + strings.ToUpper(m.id[:6])
		}
	})
	return id
}

// Copy makes a second machine of one, with the same notes and disks of its own elsewhere, as
// an export and import do.
func (h *Host) Copy(id string) (copied string) { return h.CopyTo(id, `D:\Copies`) }

// CopyTo is Copy into a folder.
func (h *Host) CopyTo(id, folder string) (copied string) {
	h.set(func() {
		if m := h.find(id); m != nil {
			twin := *m
			twin.id, twin.path, twin.disks, twin.checkpoints, twin.state = h.guid(), folder+`\`+m.name, nil, nil, "Off"
			h.machines = append(h.machines, &twin)
			copied = twin.id
		}
	})
	return copied
}
