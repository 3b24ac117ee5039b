package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"ingot/images"
	"ingot/images/build"
	"ingot/images/lint"
	"ingot/inventory"
)

// Files that lie beside an image. The list of files was "files.jsonl.zst" until 2026-11-29,
// with wrong hashes of files with holes: such images are listed anew each time.
const (
	RecipeFile  = "recipe.json"
	InputsFile  = "inputs.json"
	LintFile    = "lint.json"
	SBOMFile    = "sbom.cdx.json"
	ListingFile = "listing.jsonl.zst"
)

// Order is a build as it is asked for.
type Order struct {
	Recipe build.Recipe
	// Channel is moved to the image; empty moves none.
	Channel string
	// Version is for people.
	Version string
	// Force builds although there is an image of the same recipe.
	Force bool
	// Untested moves the channel without a boot test.
	Untested bool
	// Why is for the channel's history.
	Why string
}

// Result is what a build made.
type Result struct {
	Image inventory.Image
	// Unchanged: the store had the same disk already, and nothing was published.
	Unchanged bool
}

// Build builds a recipe and takes the image to its channel. log takes all that the tools
// print; step is told when a step begins and how far it is. An error is a [*StepError]; a
// failure at any step leaves the channel as it is.
func (p *Publisher) Build(ctx context.Context, o Order, log io.Writer, step func(Step)) (Result, error) {
	r, err := p.make(ctx, o, log, step)
	if err != nil {
		return r, err
	}
	if o.Channel == "" {
		return r, nil
	}
	r.Image, err = p.Release(ctx, r.Image, Move{Channel: o.Channel, Untested: o.Untested, Why: o.Why}, step)
	return r, err
}

// make returns the image of the recipe that is there, or builds one.
func (p *Publisher) make(ctx context.Context, o Order, log io.Writer, step func(Step)) (Result, error) {
	if !o.Force {
		image, err := p.Store.FindRecipe(ctx, o.Recipe.Name, o.Recipe.Digest())
		if err == nil {
			return Result{image, true}, nil
		}
		if !errors.Is(err, inventory.ErrNotFound) {
			return Result{}, at("build", err)
		}
	}
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return Result{}, at("build", fmt.Errorf("build image %s: %w", o.Recipe.Name, err))
	}
	var r Result
	now := "build"
	opts := build.Options{Dir: p.Dir, Cache: p.Cache, Guest: p.Guest, Log: log, Progress: func(s build.Step) {
		step(Step{Name: s.Name, Index: s.Index, Count: s.Count})
	}}
	err := build.Build(ctx, o.Recipe, opts, func(ctx context.Context, made build.Result) (err error) {
		r, now, err = p.take(ctx, o, made, step)
		return err
	})
	return r, at(now, err)
}

// take looks into the disk that was made and stores it. now is the step it came to.
func (p *Publisher) take(ctx context.Context, o Order, made build.Result, step func(Step)) (r Result, now string, err error) {
	raw, err := os.Open(made.Raw)
	if err != nil {
		return r, "lint", err
	}
	defer raw.Close()
	info, err := raw.Stat()
	if err != nil {
		return r, "lint", err
	}
	step(Step{Name: "lint"})
	l, err := inspect(ctx, raw, info.Size(), made.Traits)
	if err == nil {
		err = refuse(l.findings)
	}
	if err != nil {
		return r, "lint", err
	}
	g, within := errgroup.WithContext(ctx)
	g.Go(func() error { return l.list(within) })
	g.Go(func() error {
		r, err = p.keep(within, o, made, l.findings, step)
		return err
	})
	if err := g.Wait(); err != nil {
		return r, "store", err
	}
	return r, "store", p.describe(ctx, r.Image, l)
}

// keep stores the disk. One that is the same as the newest of its name is not kept again.
func (p *Publisher) keep(ctx context.Context, o Order, made build.Result, findings lint.Findings, step func(Step)) (Result, error) {
	files := map[string][]byte{}
	for name, v := range map[string]any{RecipeFile: o.Recipe, InputsFile: made.Inputs, LintFile: findings} {
		text, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			return Result{}, fmt.Errorf("describe image: %w", err)
		}
		files[name] = text
	}
	began := p.Now().UTC()
	image, err := p.Store.Import(ctx, made.Raw, images.ImportOptions{Name: o.Recipe.Name, Version: o.Version, Format: images.FormatRaw, Traits: made.Traits,
		Origin: "recipe " + o.Recipe.Name, RecipeDigest: o.Recipe.Digest(), InputsDigest: made.Inputs.Digest(), Builder: build.BuilderVersion(),
		Files: files, SkipUnchanged: true, Progress: func(i images.ImportProgress) { step(Step{Name: i.Step, Bytes: i.DoneBytes, Total: i.TotalBytes}) }})
	// Created is whole seconds: one that is older was there before.
	return Result{image, image.Created.Before(began.Truncate(time.Second))}, err
}
