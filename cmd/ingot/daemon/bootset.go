package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ingot/inventory"
	"ingot/pxe/bootfiles"
	"ingot/pxe/bootsets"
	"ingot/pxe/trial"
)

// bootFiles implements pxe.BootSet.
type bootFiles struct{ store *bootsets.Store }

// Open implements pxe.BootSet.
func (b bootFiles) Open(set, name string) (*os.File, fs.FileInfo, error) {
	return b.store.OpenFile(set, name)
}

// current is the set that scripts name, empty for none.
func (b bootFiles) current() string {
	id, err := b.store.Current()
	if err != nil {
		return ""
	}
	return id
}

// openSets opens the sets of boot files.
func (d *Daemon) openSets(ctx context.Context) error {
	work, err := openBootWork(BootFiles{Data: d.cfg.Data, Mirror: d.cfg.BootEnvironment.Mirror, Suite: d.cfg.BootEnvironment.Suite,
		Modes: d.cfg.BootEnvironment.Modes, Log: d.log.With("component", "bootsets")}, d.now)
	if err != nil {
		return err
	}
	if err := work.sweep(ctx); err != nil {
		d.log.Warn("clear up", "err", err)
	}
	work.Keeper.Tell, work.Keeper.Machines = d.tell, d.bootSetMachines
	d.sets = work
	return nil
}

// bootSet makes the boot files at the first start: a first boot does not wait for a boot
// test. A server without an interface needs none.
func (d *Daemon) bootSet(ctx context.Context) error {
	_, err := d.sets.Keeper.Store.Current()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(d.cfg.Interfaces) == 0 {
		d.log.Info("no interface is given (--interface): no boot files are served, the machine listeners are on loopback")
		return nil
	}
	d.log.Info("no boot files yet: making them from Debian's packages (about 110 MB, once)")
	made, err := d.sets.Keeper.Renew(ctx, bootsets.Order{Untested: true, Why: "the first boot files"}, func(string) {})
	if err != nil {
		return fmt.Errorf("boot files (ingot agent build makes them): %w", err)
	}
	how := "test them with: ingot agent test"
	if d.cfg.BootEnvironment.times() != "" {
		how = "they are tested by the schedule boot-environment, or with: ingot agent test"
	}
	d.log.Warn("machines boot files that were not tested", "set", made.Set.ID, "kernel", made.Set.Kernel, "do", how)
	return nil
}

// tell records an event that is about no machine.
func (d *Daemon) tell(ctx context.Context, p inventory.Payload) error {
	e, err := inventory.NewEvent(nil, d.now(), p)
	if err != nil {
		return err
	}
	return d.store.Update(ctx, func(x inventory.Tx) error {
		_, err := x.AddEvent(ctx, e)
		return err
	})
}

// silentSet is when an agent that is not heard no longer keeps its boot set.
const silentSet = time.Hour

// bootSetMachines counts the agents that run each set.
func (d *Daemon) bootSetMachines(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	return counts, d.store.View(ctx, func(x inventory.Tx) error {
		clear(counts)
		machines, err := x.Machines(ctx)
		for _, m := range machines {
			if a := m.Status.Agent; a != nil && a.BootSet != "" && d.now().Sub(m.Status.Beat) < silentSet {
				counts[a.BootSet]++
			}
		}
		return err
	})
}

// BootFiles says what the boot files of a data directory are made from.
type BootFiles struct {
	Data string
	// Root is a folder with Debian's packages unpacked or installed; empty fetches them.
	Root string
	// Mirror and Suite are Debian's; empty is what this host's apt has.
	Mirror, Suite string
	// Agent is the agent's binary; empty finds it beside this program.
	Agent string
	// Refresh asks the mirror for newer packages.
	Refresh bool
	// Modes are tested; none is all.
	Modes []string
	Log   *slog.Logger
}

// builder implements bootsets.Builder.
type builder struct {
	files   BootFiles
	refresh bool
	recipe  bootfiles.Recipe
}

// Key implements bootsets.Builder.
func (b *builder) Key(ctx context.Context) (string, error) {
	agent, err := agentBinary(b.files.Agent)
	if err != nil {
		return "", err
	}
	files := b.files
	files.Refresh = files.Refresh || b.refresh
	root, err := files.root(ctx)
	if err != nil {
		return "", err
	}
	b.recipe = bootfiles.Recipe{Root: root, Agent: agent, Log: files.Log}
	return b.recipe.Key()
}

// Build implements bootsets.Builder.
func (b *builder) Build(ctx context.Context, out, parts string) error {
	b.recipe.Out, b.recipe.Parts = out, parts
	_, err := bootfiles.Build(ctx, b.recipe)
	return err
}

// openBootWork opens the sets of a data directory with what renews them.
func openBootWork(b BootFiles, now func() time.Time) (*bootWork, error) {
	store, err := bootsets.Open(filepath.Join(b.Data, "boot"), now)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program for boot tests: %w", err)
	}
	if len(b.Modes) == 0 {
		b.Modes = trial.Modes
	}
	made := &builder{files: b}
	tester := &trial.Tester{Dir: filepath.Join(b.Data, "boot", "test"), Program: self, Now: now, Log: b.Log}
	return &bootWork{&bootsets.Keeper{Store: store, Builder: made, Tester: tester, Modes: b.Modes, Log: b.Log}, made, tester}, nil
}

func (b BootFiles) root(ctx context.Context) (string, error) {
	if b.Root != "" {
		return b.Root, nil
	}
	return bootfiles.Acquire(ctx, bootfiles.Source{Cache: BootCache(b.Data), Mirror: b.Mirror, Suite: b.Suite, Refresh: b.Refresh, Log: b.Log})
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

// AgentMedia makes boot media for machines that can't boot from the network, of the
// current set of boot files, or, for packages or an agent that are named, of what those
// make.
func AgentMedia(ctx context.Context, b BootFiles, out string, args []string, usb bool) error {
	set, root, err := mediumSet(ctx, b)
	if err != nil {
		return err
	}
	m := bootfiles.Medium{Root: root, Out: out, KernelArgs: args}
	if usb {
		return set.USB(ctx, m)
	}
	return set.ISO(ctx, m)
}

func mediumSet(ctx context.Context, b BootFiles) (*bootfiles.Set, string, error) {
	w, err := openBootWork(b, time.Now)
	if err != nil {
		return nil, "", err
	}
	k := w.Keeper
	id, err := k.Store.Current()
	if err == nil && b.Root == "" && b.Agent == "" && !b.Refresh {
		root, err := b.root(ctx) // has the loaders of media
		if err != nil {
			return nil, "", err
		}
		set, err := k.Store.Set(id)
		return set, root, err
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	row, err := k.Make(ctx)
	if err != nil {
		return nil, "", err
	}
	set, err := k.Store.Set(row.ID)
	return set, w.builder.recipe.Root, err
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

// checkModes refuses what is no mode.
func checkModes(modes []string) error {
	for _, m := range modes {
		if !slices.Contains(trial.Modes, m) {
			return inventory.Invalid("boot mode %q (want bios, uefi or secureboot)", m)
		}
	}
	return nil
}
