package netboot

import (
	"ingot/inventory"
)

// Answer is what a machine in this state is told when it asks the network.
func Answer(m *inventory.Machine) (inventory.BootAnswer, string) {
	s := m.Status
	switch {
	case m.Kind == inventory.KindVM:
		return inventory.BootNone, "it is a virtual machine of a host"
	case s.Conflict != "":
		return inventory.BootDisk, "identity conflict"
	case s.Hold != "":
		return inventory.BootDisk, "on hold: " + s.Hold
	}
	switch s.State {
	case inventory.Deployed, inventory.Retired:
		return inventory.BootDisk, string(s.State)
	case inventory.Deploying:
		if s.Phase == inventory.PhaseReboot || s.Phase == inventory.PhaseFirstBoot {
			return inventory.BootDisk, "deploying, " + string(s.Phase)
		}
	}
	return inventory.BootAgent, string(s.State)
}
