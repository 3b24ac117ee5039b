package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"

	"github.com/spf13/cobra"

	"ingot/cmd/ingot/daemon"
	"ingot/inventory"
	"ingot/pxe/bootfiles"
)

// agentFlags are shared by the verbs that make the boot environment.
type agentFlags struct {
	data, root, binary string
	refresh            bool
}

func (a *app) agent() *cobra.Command {
	var f agentFlags
	cmd := group("agent", "The boot environment: build it, make media of it", a.agentBuild(&f), a.agentMedium(&f, false), a.agentMedium(&f, true))
	p := cmd.PersistentFlags()
	p.StringVar(&f.data, "data", "/var/lib/ingot", "data directory")
	p.StringVar(&f.root, "root", "", "folder with Debian's packages, unpacked or installed (default: fetch them)")
	p.StringVar(&f.binary, "agent", "", "the agent's binary (default: ingot-agent beside this program)")
	p.BoolVar(&f.refresh, "refresh", false, "ask the mirror for newer packages")
	return cmd
}

func (a *app) files(f *agentFlags) daemon.BootFiles {
	log := slog.New(slog.NewTextHandler(a.err, nil))
	return daemon.BootFiles{Data: f.data, Root: f.root, Agent: f.binary, Refresh: f.refresh, Log: log}
}

func (a *app) agentBuild(f *agentFlags) *cobra.Command {
	return &cobra.Command{Use: "build", Short: "Make the boot files: loaders, kernel, the agent's two stages", Args: none(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := daemon.BuildBootFiles(cmd.Context(), a.files(f))
			if err != nil {
				return err
			}
			return a.showSet(set)
		}}
}

func (a *app) showSet(set *bootfiles.Set) error {
	m := set.Manifest()
	return a.documentOr(m, func() error {
		err := table(a.out, m.Files, []column[bootfiles.File]{
			{"FILE", false, func(x bootfiles.File) string { return x.Name }},
			{"SIZE", false, func(x bootfiles.File) string { return inventory.FormatBytes(x.SizeBytes) }},
			{"ORIGIN", false, func(x bootfiles.File) string { return x.Origin }},
			{"SHA256", true, func(x bootfiles.File) string { return x.SHA256 }},
		}, a.output == "wide")
		fmt.Fprintf(a.out, "\nkernel %s, %d modules in the first stage, %d in the second\n", m.KernelVersion, len(m.FirstStageModules), len(m.SecondStageModules))
		for _, x := range m.MissingFirmware {
			if a.output == "wide" {
				fmt.Fprintf(a.out, "firmware not in Debian: %s for %s\n", x.Firmware, x.Module)
			}
		}
		return err
	})
}

func (a *app) agentMedium(f *agentFlags, usb bool) *cobra.Command {
	kind, what := "iso", "a CD image"
	if usb {
		kind, what = "usb", "an image for a USB stick"
	}
	var out, server string
	cmd := &cobra.Command{Use: kind, Short: "Make " + what + " that boots the agent, for machines that can't boot from the network", Args: none(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.makeMedium(cmd.Context(), f, out, server, usb) }}
	cmd.Flags().StringVar(&out, "out", "ingot-agent."+kind, "file to write")
	cmd.Flags().StringVar(&server, "address", "", "the server's address as machines reach it (required)")
	_ = cmd.MarkFlagRequired("address") // only fails for an unknown flag
	return cmd
}

func (a *app) makeMedium(ctx context.Context, f *agentFlags, out, server string, usb bool) error {
	ip, err := netip.ParseAddr(server)
	if err != nil {
		return usage("--address %q is not an address", server)
	}
	cfg, err := daemon.LoadConfig("", (&cobra.Command{}).Flags())
	if err != nil {
		return err
	}
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
