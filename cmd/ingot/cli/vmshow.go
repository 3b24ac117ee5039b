package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

// vmDetail is a VM with what its host says of it now.
type vmDetail struct {
	api.MachineDetail
	Power string `json:"power,omitempty"`
}

func (a *app) vmShow() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a VM, whether it is on, and where it is", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		m, err := c.Machine(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		d := vmDetail{MachineDetail: m}
		var unknown error
		if m.Status.VM != nil {
			var state api.VMState
			state, unknown = c.StateOfVM(cmd.Context(), m.ID)
			d.Power = state.Power
		}
		return a.documentOr(d, func() error {
			showMachine(a.out, m, time.Now())
			switch {
			case unknown != nil:
				keyLine(a.out)("power", "unknown: %v", unknown)
			case d.Power != "":
				keyLine(a.out)("power", "%s", d.Power)
			}
			return nil
		})
	}}
}

// showVM prints what is wanted of a VM and what its host made.
func showVM(w io.Writer, m inventory.Machine) {
	line, v := keyLine(w), m.Spec.VM
	line("host", "%s", v.Host)
	line("size", "%s, %s of memory", count(v.CPUs, "CPU"), memoryText(v.MemoryBytes))
	for i, size := range v.DiskBytes {
		text := inventory.FormatBytes(size)
		if size == 0 {
			text = "as large as its image"
		}
		if i == 0 && clone(m) != "" {
			text += ", " + clone(m)
		}
		line("disk", "%d: %s", i, text)
	}
	for _, n := range v.NICs {
		vlan := ""
		if n.VLAN != 0 {
			vlan = fmt.Sprintf(", VLAN %d", n.VLAN)
		}
		network := "the host's network"
		if n.Network != "" {
			network = n.Network
		}
		line("nic", "%s on %s%s", n.MAC, network, vlan)
	}
	if m.Status.VM != nil {
		line("at host", "%s", m.Status.VM.UUID)
	}
}
