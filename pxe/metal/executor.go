package metal

import (
	"context"

	"ingot/inventory"
)

// Executor implements lifecycle.Executor for machines without a known BMC: the agent
// does the work when it is up, and switching on is for a person.
type Executor struct{}

// Begin implements lifecycle.Executor.
func (Executor) Begin(_ context.Context, m *inventory.Machine, phase inventory.Phase) (string, error) {
	up := m.Status.Agent != nil
	switch phase {
	case inventory.PhaseBoot, inventory.PhaseInspect, inventory.PhaseWipe:
		if !up {
			return "switch the machine on and let it boot from the network", inventory.ErrUnsupported
		}
	case inventory.PhaseFirstBoot:
		return "the installed system's first boot", nil
	}
	return "", nil
}
