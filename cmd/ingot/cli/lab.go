package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ingot/hypervisor/qemu"
	"ingot/inventory"
	"ingot/pxe/lab"
)

// labFlags are what ingot lab up makes machines of.
type labFlags struct {
	dir, name, address string
	firmware           []string
	disk, diskSize     string
	nic                string
	sector, memory     int
	count              int
	on                 bool
}

const defaultLabDir = "/var/lib/ingot-lab"

func (a *app) lab() *cobra.Command {
	var dir string
	cmd := group("lab", "A virtual rack: machines with real firmware on a private network",
		a.labUp(&dir), a.labDown(&dir), a.labList(&dir), a.labPower(&dir), a.labConsole(&dir))
	cmd.PersistentFlags().StringVar(&dir, "dir", first(os.Getenv("INGOT_LAB"), defaultLabDir), "directory of the rack")
	return cmd
}

func (a *app) labUp(dir *string) *cobra.Command {
	var l labFlags
	cmd := &cobra.Command{Use: "up", Short: "Set up the rack: a namespace, a bridge, and machines that are off", Args: none(),
		Long: `Set up the rack: a network namespace with a bridge, and machines that are off. Run the
server in the namespace:

  ip netns exec NAMESPACE ingot serve --interface rack --dhcp authoritative`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l.dir = *dir
			spec, err := l.spec()
			if err != nil {
				return err
			}
			rack, err := lab.Up(cmd.Context(), l.dir, spec)
			if err != nil {
				return err
			}
			for _, m := range rack.Spec().Machines {
				if !l.on {
					break
				}
				if err := rack.Power(cmd.Context(), m.Name, lab.On); err != nil {
					return err
				}
			}
			return a.labTable(rack)
		}}
	f := cmd.Flags()
	f.StringVar(&l.name, "name", "lab", "name of the rack; namespaces get theirs from it")
	f.StringVar(&l.address, "address", "10.66.0.1/24", "address of the bridge, where the server is")
	f.StringSliceVar(&l.firmware, "firmware", []string{"bios", "uefi"}, "firmware of the machines: bios, uefi, uefi-http, secureboot")
	f.StringVar(&l.disk, "disk", "virtio", "disk bus: virtio, scsi, sata, nvme, megasas-gen2, pvscsi, mptsas1068")
	f.StringVar(&l.diskSize, "disk-size", "8GiB", "size of each disk")
	f.IntVar(&l.sector, "sector", 512, "logical sector size of the disks: 512 or 4096")
	f.StringVar(&l.nic, "nic", "virtio", "network card: virtio, e1000e, vmxnet3")
	f.IntVar(&l.memory, "memory", 2048, "memory of each machine in MiB")
	f.IntVar(&l.count, "count", 1, "machines of each firmware")
	f.BoolVar(&l.on, "on", false, "switch the machines on")
	return cmd
}

func (l labFlags) spec() (lab.Spec, error) {
	address, err := netip.ParsePrefix(l.address)
	if err != nil {
		return lab.Spec{}, usage("--address %q (want ADDRESS/BITS)", l.address)
	}
	size, err := inventory.ParseBytes(l.diskSize)
	if err != nil {
		return lab.Spec{}, usageError{err}
	}
	spec := lab.Spec{Name: l.name, Networks: []lab.Network{{Name: "rack", Address: address}}}
	for _, fw := range l.firmware {
		for i := range l.count {
			name := fw
			if l.count > 1 {
				name = fmt.Sprintf("%s-%d", fw, i+1)
			}
			spec.Machines = append(spec.Machines, lab.Machine{Name: name, Firmware: qemu.Firmware(fw), MemoryMiB: l.memory,
				Disks: []lab.Disk{{Bus: qemu.Bus(l.disk), SizeBytes: size, SectorBytes: l.sector}},
				NICs:  []lab.NIC{{Network: "rack", Model: qemu.NICModel(l.nic)}}})
		}
	}
	return spec, nil
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
		return nil, fmt.Errorf("no rack in %s: set one up with \"ingot lab up\", or name its --dir: %w", filepath.Clean(dir), err)
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

// escapeKey ends a console session: Ctrl-], as telnet has it.
const escapeKey = 0x1d

func (a *app) labConsole(dir *string) *cobra.Command {
	return &cobra.Command{Use: "console MACHINE", Short: "Attach to a machine's serial console (leave with Ctrl-])", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rack, err := openLab(*dir)
			if err != nil {
				return err
			}
			conn, err := rack.Console(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer conn.Close()
			return a.attach(cmd.Context(), conn)
		}}
}

// attach joins terminal and console until the escape key, the end of input, or ctx.
func (a *app) attach(ctx context.Context, conn io.ReadWriteCloser) error {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		old, err := term.MakeRaw(fd)
		if err != nil {
			return fmt.Errorf("set terminal: %w", err)
		}
		defer func() { _ = term.Restore(fd, old) }()
		fmt.Fprint(a.err, "attached; leave with Ctrl-]\r\n")
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends both copies
	defer stop()
	done := make(chan error, 2)
	go func() { _, err := io.Copy(a.out, conn); done <- err }()
	go func() { done <- copyUntilEscape(conn, os.Stdin) }()
	err := <-done
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return nil
	}
	return err
}

func copyUntilEscape(w io.Writer, r io.Reader) error {
	buf := make([]byte, 256)
	for {
		n, err := r.Read(buf)
		for i := range n {
			if buf[i] == escapeKey {
				return nil
			}
			if _, err := w.Write(buf[i : i+1]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
