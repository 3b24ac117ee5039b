package build

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"ingot/images/master"
	"ingot/inventory"
)

// oci makes the disk of a container image: its layers, a kernel with its modules, and an
// initramfs that starts /sbin/init. It needs no privilege. With cloud-init in it the machine
// is configured by its seed; without, nobody is there to read one.
func (b *build) oci(ctx context.Context) error {
	t, err := newTree(filepath.Join(b.dir, "spool"))
	if err != nil {
		return err
	}
	root, err := b.unpack(ctx)
	if err != nil {
		return err
	}
	b.step("unpack layers", b.recipe.Source.OCI.Layout)
	if err := b.ociLayers(ctx, t); err != nil {
		return inventory.Invalid("%skey source.oci: %v", b.recipe.place("source.oci"), err)
	}
	if err := b.checkInit(t); err != nil {
		return err
	}
	if t.has("usr/bin/cloud-init") {
		b.traits.FirstBoot = master.FirstBootCloudInit
	}
	if err := b.ociKernel(ctx, root, t); err != nil {
		return fmt.Errorf("add kernel: %w", err)
	}
	l, err := newLayout(b.recipe, b.raw)
	if err != nil {
		return err
	}
	for _, a := range b.recipe.actions() {
		for _, f := range a.Files {
			err = errors.Join(err, t.write(f))
		}
		for _, pattern := range a.Cleanup {
			err = errors.Join(err, t.glob(strings.TrimPrefix(pattern, "/")))
		}
	}
	if err := errors.Join(err, b.configure(t, l)); err != nil {
		return fmt.Errorf("configure image: %w", err)
	}
	return b.finish(ctx, t, l)
}

// checkInit refuses an image that nothing could start.
func (b *build) checkInit(t *tree) error {
	if !strings.Contains(" "+b.recipe.KernelCommandLine, " init=") && !t.has("sbin/init") {
		return inventory.Invalid("the container image has no /sbin/init: install an init system in it, or name a program with kernelCommandLine: init=/PATH")
	}
	return nil
}
