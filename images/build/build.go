package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"ingot/images/master"
	"ingot/inventory"
)

// Step is what a build is doing.
type Step struct {
	// Index of Count, from 1.
	Index, Count int
	Name, Detail string
}

// Options says how a build runs.
type Options struct {
	// Dir is where the work is done; a folder is made in it and removed at the
	// end, and those of builds that were killed are removed at the start. It needs
	// three times the size of the image's files.
	Dir string
	// Cache keeps downloads by their SHA-256 between builds; empty keeps nothing.
	Cache string
	// Pinned are the inputs of an earlier build: exactly these are taken from the
	// cache, without a network.
	Pinned *Inputs
	// Guest runs booted machines, for the sources image and installer; nil refuses them.
	Guest Guest
	// Log takes all that the tools print; nil discards it.
	Log io.Writer
	// Progress is called when a step begins; nil is allowed.
	Progress func(Step)
}

// Result is a finished disk.
type Result struct {
	// Raw is the path of the raw disk, until use returns.
	Raw    string
	Traits master.Traits
	// Inputs are what it was made from, with Inputs.Digest.
	Inputs Inputs
}

// BuilderVersion is the version of the builder, as images record it.
func BuilderVersion() string { return fmt.Sprintf("ingot-build/%d", builderVersion) }

// build is one build under way.
type build struct {
	recipe Recipe
	opts   Options
	log    io.Writer
	dir    string // scratch, removed at the end
	raw    string // the raw disk
	cache  cache
	inputs Inputs
	traits master.Traits
	steps  int // how many there will be
	index  int
}

func (b *build) step(name, detail string) {
	b.index++
	fmt.Fprintf(b.log, "== %d/%d %s %s\n", b.index, b.steps, name, detail)
	if b.opts.Progress != nil {
		b.opts.Progress(Step{Index: b.index, Count: b.steps, Name: name, Detail: detail})
	}
}

// Disk is Build for those who need no more than the disk.
func Disk(ctx context.Context, r Recipe, opts Options, use func(ctx context.Context, raw string, traits master.Traits) error) error {
	return Build(ctx, r, opts, func(ctx context.Context, result Result) error { return use(ctx, result.Raw, result.Traits) })
}

// Build makes the raw disk of a recipe, hands it to use, and removes it. It runs as root,
// and as another user where user namespaces work; it errors with a [*MissingError] when a
// tool is not installed, inventory.ErrInvalid when the recipe can't work, and
// inventory.ErrDenied when this user can't build.
func Build(ctx context.Context, r Recipe, opts Options, use func(context.Context, Result) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("build image %s: %w", r.Name, explain(err, opts.Dir))
		}
	}()
	if err := errors.Join(r.Check(), CheckTools()); err != nil {
		return err
	}
	if err := checkPrivilege(ctx, r); err != nil {
		return err
	}
	b := &build{recipe: r, opts: opts, log: opts.Log, traits: r.traits()}
	if b.log == nil {
		b.log = io.Discard
	}
	dir, release, err := scratch(ctx, opts.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	b.dir, b.raw = dir, filepath.Join(dir, "disk.raw")
	b.cache.dir = opts.Cache
	if opts.Cache == "" {
		b.cache.dir = filepath.Join(dir, "cache")
	}
	if b.cache.dir, err = filepath.Abs(b.cache.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(b.cache.dir, 0o755); err != nil {
		return err
	}
	if b.inputs.Tools, err = hostTools(ctx); err != nil {
		return err
	}
	if err := b.make(ctx); err != nil {
		return err
	}
	b.step("store", "")
	return use(ctx, Result{Raw: b.raw, Traits: b.traits, Inputs: b.inputs})
}

// make makes the disk by the recipe's source.
func (b *build) make(ctx context.Context) error {
	s := b.recipe.Source
	switch {
	case s != nil && s.OCI != nil:
		b.steps = 7
		return b.oci(ctx)
	case s != nil && s.Image != nil:
		b.steps = 3
		return b.customise(ctx)
	case s != nil && s.Installer != nil:
		b.steps = 3
		return b.install(ctx)
	case b.recipe.System == SystemTiny:
		b.steps = 5
		return b.tiny(ctx)
	}
	b.steps = 6
	return b.debian(ctx)
}

var errNoGuest = fmt.Errorf("it needs a virtual machine to run in, and this program was made without one: %w", inventory.ErrUnsupported)
