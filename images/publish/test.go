package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"ingot/images"
	"ingot/images/boottest"
	"ingot/images/build"
	"ingot/inventory"
)

// Test boots an image in the modes given, or in all that it boots in, and keeps what came
// of each with the image. A test that did not pass is no error: it is in the image's
// Tests. skipPassed leaves out the modes whose newest test passed.
func (p *Publisher) Test(ctx context.Context, image inventory.Image, modes []string, skipPassed bool, step func(Step)) (inventory.Image, error) {
	recipe, err := p.recipe(image.Digest)
	if err != nil {
		return image, err
	}
	if len(modes) == 0 {
		modes = image.BootModes
	}
	if len(modes) == 0 {
		return image, inventory.Invalid("image %s: it is not known by what firmware it boots: name the modes (bios, uefi, secureboot)", image.Name)
	}
	for i, mode := range modes {
		if t, ok := image.TestOf(mode); ok && t.Passed && skipPassed {
			continue
		}
		step(Step{Name: "boot test: " + mode, Index: i + 1, Count: len(modes)})
		if err := p.testMode(ctx, image, mode, recipe, step); err != nil {
			return image, err
		}
	}
	return p.Store.Get(ctx, image.Name+"@"+image.Digest)
}

// recipe is the one that lies beside an image; none is a recipe without checks.
func (p *Publisher) recipe(digest string) (r build.Recipe, err error) {
	f, err := p.Store.File(digest, RecipeFile)
	if errors.Is(err, inventory.ErrNotFound) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return r, fmt.Errorf("read recipe of image %s: %w", digest, err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read recipe of image %s: %w", digest, err)
	}
	return r, nil
}

func (p *Publisher) testMode(ctx context.Context, image inventory.Image, mode string, recipe build.Recipe, step func(Step)) (err error) {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return fmt.Errorf("test image %s: %w", image.Name, err)
	}
	dir, err := os.MkdirTemp(p.Dir, "boottest-")
	if err != nil {
		return fmt.Errorf("test image %s: %w", image.Name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o := boottest.Options{Image: image, Mode: mode, Dir: dir, Log: p.Log, Open: func(ctx context.Context) (string, string, error) {
		d, err := p.Store.Derive(ctx, image.Digest, images.FormatQcow2)
		return d.Path, "qcow2", err
	}, Progress: func(what string) { step(Step{Name: "boot test: " + mode + ": " + what}) }}
	if o.Checks, err = checks(recipe.Checks); err != nil {
		return err
	}
	if recipe.Test.Timeout != "" {
		if o.Timeout, err = time.ParseDuration(recipe.Test.Timeout); err != nil {
			return fmt.Errorf("test image %s: %w", image.Name, err)
		}
	}
	test, files, err := boottest.Test(ctx, o)
	if err != nil {
		return err
	}
	if err := p.Store.AddTest(ctx, image.Digest, test, files); err != nil {
		return err
	}
	return p.tell(ctx, inventory.ImageTested{Name: image.Name, Digest: image.Digest, Mode: mode, Passed: test.Passed, Problem: test.Problem})
}

func checks(of []build.Check) ([]boottest.Check, error) {
	var all []boottest.Check
	for _, c := range of {
		out := boottest.Check{Name: c.Name, Command: c.Command, ExitCode: c.ExitCode}
		if c.Expect != "" {
			expect, err := regexp.Compile(c.Expect)
			if err != nil {
				return nil, inventory.Invalid("check %s: expect %q: %v", c.Name, c.Expect, err)
			}
			out.Expect = expect
		}
		all = append(all, out)
	}
	return all, nil
}
