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
	// end. It needs three times the size of the image's files.
	Dir string
	// Log takes what the tools print; nil discards it.
	Log io.Writer
	// Progress is called when a step begins; nil is allowed.
	Progress func(Step)
}

// build is one build under way.
type build struct {
	recipe Recipe
	opts   Options
	log    io.Writer
	dir    string // scratch, removed at the end
	raw    string // the raw disk
	steps  int    // how many there will be
	index  int
}

func (b *build) step(name, detail string) {
	b.index++
	if b.opts.Progress != nil {
		b.opts.Progress(Step{Index: b.index, Count: b.steps, Name: name, Detail: detail})
	}
}

// Disk makes the raw disk of a recipe, hands its path to use, and removes it. It
// needs root, for the owners of the files, and errors with a [*MissingError] when
// a tool is not installed.
func Disk(ctx context.Context, r Recipe, opts Options, use func(ctx context.Context, raw string, traits master.Traits) error) (err error) {
	if err := errors.Join(r.Check(), CheckTools()); err != nil {
		return fmt.Errorf("build image %s: %w", r.Name, err)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("build image %s: it needs root, for the owners of its files: run it with sudo: %w", r.Name, inventory.ErrDenied)
	}
	dir, err := os.MkdirTemp(opts.Dir, "build-")
	if err != nil {
		return fmt.Errorf("build image %s: %w", r.Name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // apt downloads as a user of its own
		return fmt.Errorf("build image %s: %w", r.Name, err)
	}
	b := &build{recipe: r, opts: opts, log: opts.Log, dir: dir, raw: filepath.Join(dir, "disk.raw")}
	if b.log == nil {
		b.log = io.Discard
	}
	var make func(context.Context) error
	switch r.System {
	case SystemDebian:
		make, b.steps = b.debian, 5
	case SystemTiny:
		make, b.steps = b.tiny, 4
	}
	if err := make(ctx); err != nil {
		return fmt.Errorf("build image %s: %w", r.Name, err)
	}
	b.step("store", "")
	return use(ctx, b.raw, r.traits())
}
