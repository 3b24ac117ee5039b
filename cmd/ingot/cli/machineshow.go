package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/inventory/api"
)

func (a *app) machineShow() *cobra.Command {
	return &cobra.Command{Use: "show MACHINE", Short: "Show a machine, its parts, and where it is", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			m, err := c.Machine(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.documentOr(m, func() error { showMachine(a.out, m, time.Now()); return nil })
		}}
}

// keyLine prints a key with its value, unless that is empty.
func keyLine(w io.Writer) func(key, format string, args ...any) {
	return func(key, format string, args ...any) {
		if text := strings.TrimSpace(fmt.Sprintf(format, args...)); text != "" {
			fmt.Fprintf(w, "%-12s %s\n", key, text)
		}
	}
}

func showMachine(w io.Writer, m api.MachineDetail, now time.Time) {
	line := keyLine(w)
	line("name", "%s (%s, %s)", m.Name, m.Kind, m.ID)
	line("state", "%s for %s", stateText(m.Machine), age(m.Status.PhaseSince, now))
	line("problem", "%s", problem(m.Machine))
	if e := m.Status.Error; e != nil {
		line("try", "%s", e.Try)
	}
	line("image", "%s %s", m.Spec.Image, m.Spec.ImageDigest)
	line("address", "%s %s", validAddr(m.Machine), m.Status.AddressSource)
	line("uuid", "%s", m.Identity.UUID)
	line("serial", "%s", m.Identity.Serial)
	line("firmware", "%s", firmware(m.Machine))
	if m.Spec.VM != nil {
		showVM(w, m.Machine)
		return
	}
	if m.Facts == nil {
		line("facts", "none yet")
		return
	}
	showFacts(line, m.Facts)
}

func showFacts(line func(key, format string, args ...any), f *inventory.Facts) {
	line("system", "%s %s", f.System.Manufacturer, f.System.Product)
	line("board", "%s %s", f.Board.Manufacturer, f.Board.Product)
	line("bios", "%s %s %s", f.Firmware.Vendor, f.Firmware.Version, f.Firmware.Date)
	if f.TPM.Present {
		line("tpm", "%s %s", f.TPM.Version, f.TPM.Manufacturer)
	}
	for _, c := range f.CPUs {
		line("cpu", "%s, %d cores, %d threads", c.Model, c.Cores, c.Threads)
	}
	line("memory", "%s", inventory.FormatBytes(f.Memory.TotalBytes))
	for _, d := range f.Memory.DIMMs {
		if d.SizeBytes > 0 {
			line("  dimm", "%s %s %s %d MT/s %s %s", d.Slot, inventory.FormatBytes(d.SizeBytes), d.Type, d.SpeedMTs, d.Manufacturer, d.Part)
		}
	}
	for _, d := range f.Disks {
		line("disk", "%s %s %s serial %s %s %d-byte sectors %s", d.Name, inventory.FormatBytes(d.SizeBytes), d.Model, dash(d.Serial), d.Transport,
			d.LogicalSectorBytes, strings.Join(d.Signatures, ", "))
	}
	for _, n := range f.NICs {
		line("nic", "%s %s %s %s%s", n.Name, n.MAC, n.Driver, speed(n), neighbourText(n))
	}
	for _, g := range f.GPUs {
		line("gpu", "%s %s:%s %s", g.Address, g.Vendor, g.Device, g.Name)
	}
	if f.BMC != nil {
		line("bmc", "%s %s %s", f.BMC.Address, f.BMC.MAC, f.BMC.Firmware)
	}
	for _, u := range f.Unread {
		line("unread", "%s", u)
	}
}

func speed(n inventory.NIC) string {
	switch {
	case !n.Link:
		return "no link"
	case n.SpeedMbps > 0:
		return fmt.Sprintf("%d Mb/s", n.SpeedMbps)
	}
	return "link"
}

func neighbourText(n inventory.NIC) string {
	if n.Neighbour == nil {
		return ""
	}
	return fmt.Sprintf(" → %s port %s", n.Neighbour.SystemName, n.Neighbour.PortID)
}
