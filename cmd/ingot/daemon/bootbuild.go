package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"ingot/inventory"
	"ingot/pxe/bootfiles"
	"ingot/pxe/bootsets"
	"ingot/pxe/trial"
)

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
	files  BootFiles
	recipe bootfiles.Recipe
}

// Key implements bootsets.Builder.
func (b *builder) Key(ctx context.Context, refresh bool) (string, error) {
	agent, err := agentBinary(b.files.Agent)
	if err != nil {
		return "", err
	}
	files := b.files
	files.Refresh = files.Refresh || refresh
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
