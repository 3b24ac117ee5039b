package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"ingot/pxe/bootfiles"
)

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
