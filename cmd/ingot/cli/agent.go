package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/daemon"
	"ingot/inventory/api"
)

// agentFlags are shared by the verbs that make the boot environment.
type agentFlags struct {
	data, root, binary string
	refresh            bool
}

func (f *agentFlags) source(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.root, "root", "", "folder with Debian's packages, unpacked or installed (default: fetch them; needs --data)")
	p.StringVar(&f.binary, "agent", "", "the agent's binary (default: ingot-agent beside the server's program; needs --data)")
	p.BoolVar(&f.refresh, "refresh", false, "ask the mirror for newer packages")
}

func (a *app) agent() *cobra.Command {
	var f agentFlags
	cmd := group("agent", "The boot environment: build it, test it, make media of it",
		a.agentBuild(&f), a.agentList(&f), a.agentTest(&f), a.agentRollback(&f), a.agentMedium(&f, false), a.agentMedium(&f, true))
	cmd.PersistentFlags().StringVar(&f.data, "data", "", "work on this data directory without a server")
	return cmd
}

func (a *app) files(f *agentFlags) daemon.BootFiles {
	log := slog.New(slog.NewTextHandler(a.err, nil))
	return daemon.BootFiles{Data: f.data, Root: f.root, Agent: f.binary, Refresh: f.refresh, Log: log}
}

// bootWorker is the server, or a data directory.
func (a *app) bootWorker(f *agentFlags) (bootWorker, error) {
	if f.data != "" {
		return daemon.LocalBootSets(a.files(f))
	}
	if f.root != "" || f.binary != "" {
		return nil, usage("--root and --agent are for --data: a server uses its own")
	}
	return a.client()
}

func (a *app) agentBuild(f *agentFlags) *cobra.Command {
	var in api.BootSetBuild
	cmd := &cobra.Command{Use: "build", Short: "Make the boot files (loaders, kernel, the agent's two stages), boot-test them, and give them to machines", Args: none(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := a.bootWorker(f)
			if err != nil {
				return err
			}
			in.Refresh = f.refresh
			return a.bootWork(func(progress func(api.WorkLine)) (set, error) { return w.BuildBootSet(cmd.Context(), in, progress) })
		}}
	f.source(cmd)
	cmd.Flags().BoolVar(&in.Untested, "untested", false, "give them to machines without a boot test")
	return cmd
}

func (a *app) agentTest(f *agentFlags) *cobra.Command {
	var in api.BootSetTest
	cmd := &cobra.Command{Use: "test [ID]", Short: "Boot a set of boot files in a virtual machine until its agent reports (default: the newest)", Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := existingData(f.data); err != nil {
				return err
			}
			w, err := a.bootWorker(f)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				in.Set = args[0]
			}
			return a.bootWork(func(progress func(api.WorkLine)) (set, error) { return w.TestBootSet(cmd.Context(), in, progress) })
		}}
	cmd.Flags().StringSliceVar(&in.Modes, "mode", nil, "bios, uefi or secureboot (default: those of the configuration, or all)")
	cmd.Flags().BoolVar(&in.Promote, "promote", false, "give it to machines when it passes")
	return cmd
}

func (a *app) agentRollback(f *agentFlags) *cobra.Command {
	return &cobra.Command{Use: "rollback [ID]", Short: "Give machines the set of boot files before; no schedule takes the one of now again", Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := existingData(f.data); err != nil {
				return err
			}
			w, err := a.bootWorker(f)
			if err != nil {
				return err
			}
			var in api.BootSetRollback
			if len(args) == 1 {
				in.Set = args[0]
			}
			s, err := w.RollbackBootSet(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.documentOr(s, func() error {
				fmt.Fprintf(a.out, "machines boot set %s (kernel %s) from now on\n", s.ID, s.Kernel)
				return nil
			})
		}}
}

func (a *app) agentMedium(f *agentFlags, usb bool) *cobra.Command {
	kind, what := "iso", "a CD image"
	if usb {
		kind, what = "usb", "an image for a USB stick"
	}
	var out, server string
	cmd := &cobra.Command{Use: kind, Short: "Make " + what + " that boots the agent, for machines that can't boot from the network", Args: none(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.makeMedium(cmd.Context(), f, out, server, usb) }}
	f.source(cmd)
	cmd.Flags().StringVar(&out, "out", "ingot-agent."+kind, "file to write")
	cmd.Flags().StringVar(&server, "address", "", "the server's address as machines reach it (required)")
	_ = cmd.MarkFlagRequired("address") // only fails for an unknown flag
	return cmd
}

// defaultData is where media are made from.
const defaultData = "/var/lib/ingot"

func (a *app) makeMedium(ctx context.Context, f *agentFlags, out, server string, usb bool) error {
	ip, err := netip.ParseAddr(server)
	if err != nil {
		return usage("--address %q is not an address", server)
	}
	cfg, err := daemon.LoadConfig("", (&cobra.Command{}).Flags())
	if err != nil {
		return err
	}
	f.data = cmp.Or(f.data, defaultData)
	cfg.Data = f.data
	base := "http://" + netip.AddrPortFrom(ip, uint16(cfg.Machine.HTTPPort)).String()
	api := "https://" + netip.AddrPortFrom(ip, uint16(cfg.Machine.TLSPort)).String()
	args, err := daemon.AgentKernelArgs(cfg, base, api)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("find %s: %w", out, err)
	}
	if err := daemon.AgentMedia(ctx, a.files(f), path, args, usb); err != nil {
		return err
	}
	fmt.Fprintln(a.out, path)
	return nil
}
