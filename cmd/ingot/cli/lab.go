package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"ingot/inventory"
	"ingot/pxe/lab"
)

const defaultLabDir = "/var/lib/ingot-lab"

func (a *app) lab() *cobra.Command {
	var dir string
	cmd := group("lab", "A virtual rack: machines with real firmware on a private network",
		a.labUp(&dir), a.labDown(&dir), a.labList(&dir), a.labPower(&dir), a.labConsole(&dir))
	cmd.PersistentFlags().StringVar(&dir, "dir", first(os.Getenv("INGOT_LAB"), defaultLabDir), "directory of the rack")
	return cmd
}

func (a *app) labTable(rack *lab.Lab) error {
	rows, err := rack.List()
	if err != nil {
		return err
	}
	type s = lab.Status
	err = list(a, rows, []column[s]{
		{"NAME", false, func(x s) string { return x.Machine.Name }},
		{"POWER", false, func(x s) string { return map[bool]string{true: "on", false: "off"}[x.On] }},
		{"FIRMWARE", false, func(x s) string { return string(x.Machine.Firmware) }},
		{"DISKS", false, func(x s) string { return disksText(x.Machine) }},
		{"MAC", false, func(x s) string { return nicsText(x.Machine) }},
		{"UUID", true, func(x s) string { return x.Machine.UUID }},
		{"PID", true, func(x s) string { return fmt.Sprint(x.PID) }},
		{"CONSOLE LOG", true, func(x s) string { return rack.ConsoleLog(x.Machine.Name) }},
	})
	if err == nil && a.output != "json" && a.output != "yaml" {
		fmt.Fprintf(a.out, "\nnamespace %s\n", rack.Namespace())
	}
	return err
}

func disksText(m lab.Machine) string {
	var out []string
	for _, d := range m.Disks {
		out = append(out, string(d.Bus)+" "+inventory.FormatBytes(d.SizeBytes))
	}
	return strings.Join(out, ", ")
}

func nicsText(m lab.Machine) string {
	var out []string
	for _, n := range m.NICs {
		out = append(out, n.MAC)
	}
	return strings.Join(out, ", ")
}

func (a *app) labDown(dir *string) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{Use: "down", Short: "Take the rack away", Args: none(), RunE: func(cmd *cobra.Command, _ []string) error {
		if _, err := lab.Open(*dir); errors.Is(err, lab.ErrNoLab) {
			fmt.Fprintf(a.out, "no rack in %s: nothing to take away\n", filepath.Clean(*dir))
			return nil
		}
		return lab.Down(cmd.Context(), *dir, keep)
	}}
	cmd.Flags().BoolVar(&keep, "keep-files", false, "keep disks and logs")
	return cmd
}

func (a *app) labList(dir *string) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the machines of the rack", Args: none(), RunE: func(*cobra.Command, []string) error {
		rack, err := openLab(*dir)
		if err != nil {
			return err
		}
		return a.labTable(rack)
	}}
}

func openLab(dir string) (*lab.Lab, error) {
	rack, err := lab.Open(dir)
	if errors.Is(err, lab.ErrNoLab) {
		return nil, fmt.Errorf("no rack in %s: set one up with \"ingot lab up\", or name its --dir", filepath.Clean(dir))
	}
	return rack, err
}

func (a *app) labPower(dir *string) *cobra.Command {
	var words []string
	for _, act := range lab.Actions {
		words = append(words, string(act))
	}
	return &cobra.Command{Use: "power MACHINE " + strings.Join(words, "|"), Short: "Switch a machine of the rack", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			rack, err := openLab(*dir)
			if err != nil {
				return err
			}
			return rack.Power(cmd.Context(), args[0], lab.Action(args[1]))
		}}
}
