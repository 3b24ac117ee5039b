package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"ingot/inventory"
	"ingot/pxe"
	"ingot/pxe/bootfiles"
)

// bootFiles implements pxe.BootSet on the set that bootfiles built.
type bootFiles struct{ set *bootfiles.Set }

// Open implements pxe.BootSet.
func (b bootFiles) Open(name string) (*os.File, fs.FileInfo, error) {
	f, _, err := b.set.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// noBootFiles is the boot set of a server that no machine boots from.
type noBootFiles struct{}

// Open implements pxe.BootSet.
func (noBootFiles) Open(string) (*os.File, fs.FileInfo, error) { return nil, nil, fs.ErrNotExist }

// bootSet opens the boot files, and makes them at the first start. A server without an
// interface needs none.
func (d *Daemon) bootSet(ctx context.Context) (pxe.BootSet, error) {
	set, err := bootfiles.Open(d.path("boot"))
	if errors.Is(err, fs.ErrNotExist) && len(d.cfg.Interfaces) == 0 {
		d.log.Info("no interface is given (--interface): no boot files are served, the machine listeners are on loopback")
		return noBootFiles{}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		d.log.Info("no boot files yet: making them from Debian's packages (about 110 MB, once)")
		set, err = BuildBootFiles(ctx, BootFiles{Data: d.cfg.Data, Log: d.log.With("component", "bootfiles")})
	}
	if err != nil {
		return nil, fmt.Errorf("boot files (ingot agent build makes them): %w", err)
	}
	return bootFiles{set}, nil
}

// BootFiles says what the boot files of a data directory are made from.
type BootFiles struct {
	Data string
	// Root is a folder with Debian's packages unpacked or installed; empty fetches them.
	Root string
	// Agent is the agent's binary; empty finds it beside this program.
	Agent string
	// Refresh asks the mirror for newer packages.
	Refresh bool
	Log     *slog.Logger
}

// BuildBootFiles makes the boot files below the data directory.
func BuildBootFiles(ctx context.Context, b BootFiles) (*bootfiles.Set, error) {
	agent, err := agentBinary(b.Agent)
	if err != nil {
		return nil, err
	}
	root, err := b.root(ctx)
	if err != nil {
		return nil, err
	}
	return bootfiles.Build(ctx, bootfiles.Recipe{Root: root, Agent: agent, Out: filepath.Join(b.Data, "boot"), Log: b.Log})
}

func (b BootFiles) root(ctx context.Context) (string, error) {
	if b.Root != "" {
		return b.Root, nil
	}
	return bootfiles.Acquire(ctx, bootfiles.Source{Cache: BootCache(b.Data), Refresh: b.Refresh, Log: b.Log})
}

// BootCache is where fetched packages are kept: INGOT_CACHE, or below the data directory.
func BootCache(data string) string {
	if dir := os.Getenv("INGOT_CACHE"); dir != "" {
		return filepath.Join(dir, "debian")
	}
	return filepath.Join(data, "cache", "debian")
}

// agentBinary is the path given, INGOT_AGENT, or ingot-agent beside this program.
func agentBinary(path string) (string, error) {
	if path == "" {
		path = os.Getenv("INGOT_AGENT")
	}
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find ingot-agent: %w", err)
		}
		path = filepath.Join(filepath.Dir(self), "ingot-agent")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("agent binary %s: build it (CGO_ENABLED=0 go build ./cmd/ingot-agent) and put it beside ingot, or name it with --agent: %w", path, inventory.ErrNotFound)
	}
	return path, nil
}

// AgentMedia makes boot media for machines that can't boot from the network.
func AgentMedia(ctx context.Context, b BootFiles, out string, args []string, usb bool) error {
	set, err := BuildBootFiles(ctx, b)
	if err != nil {
		return err
	}
	root, err := b.root(ctx)
	if err != nil {
		return err
	}
	m := bootfiles.Medium{Root: root, Out: out, KernelArgs: args}
	if usb {
		return set.USB(ctx, m)
	}
	return set.ISO(ctx, m)
}

// AgentKernelArgs are the kernel arguments that lead an agent booted from media to the
// server at base ("http://192.0.2.1:7480"), with the TLS key of the data directory.
func AgentKernelArgs(cfg Config, base, api string) ([]string, error) {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	_, pin, err := identity(cfg.Data)
	if err != nil {
		return nil, err
	}
	return append([]string{"ingot.http=" + base, "ingot.api=" + api, "ingot.pin=" + pin}, strings.Fields(cfg.KernelArgs)...), nil
}
