package build

import (
	"context"
	"errors"
	"fmt"
	"os"

	"ingot/images"
	"ingot/inventory"
)

// ImageOptions says how an image is built into a store.
type ImageOptions struct {
	Options
	// Force builds even when the store has an image of the same recipe. What the
	// archive offers now is not compared: a nightly build forces.
	Force bool
	// Version is for people ("2026-11-24.1"); may be empty.
	Version string
	// Channels are moved to the image, built or found.
	Channels []string
	// StoreProgress is told how the disk is compressed; nil is allowed.
	StoreProgress func(images.ImportProgress)
}

// Image builds a recipe and stores it. When the store has an image of the same
// recipe it is returned as it is, unless Force is set. The same packages give the same
// bytes (see the package's comment).
func Image(ctx context.Context, store *images.Store, r Recipe, o ImageOptions) (inventory.Image, error) {
	if !o.Force {
		image, err := store.FindRecipe(ctx, r.Name, r.Digest())
		if err == nil {
			return image, moveChannels(ctx, store, image, o.Channels)
		}
		if !errors.Is(err, inventory.ErrNotFound) {
			return inventory.Image{}, err
		}
	}
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return inventory.Image{}, fmt.Errorf("build image %s: %w", r.Name, err)
		}
	}
	var image inventory.Image
	err := Build(ctx, r, o.Options, func(ctx context.Context, result Result) error {
		var err error
<<<<<<< HEAD
		image, err = store.Import(ctx, raw, images.ImportOptions{Name: r.Name, Version: o.Version, Format: images.FormatRaw,
			Traits: traits, RecipeDigest: r.Digest(), Channels: o.Channels, Why: "built", Progress: o.StoreProgress})
=======
		image, err = store.Import(ctx, result.Raw, images.ImportOptions{Name: r.Name, Version: o.Version, Format: images.FormatRaw,
			Traits: result.Traits, RecipeDigest: r.Digest(), Channels: o.Channels, Progress: o.StoreProgress})
>>>>>>> w-build
		return err
	})
	return image, err
}

func moveChannels(ctx context.Context, store *images.Store, image inventory.Image, channels []string) error {
	for _, channel := range channels {
		if _, err := store.MoveChannel(ctx, image.Name, channel, image.Digest, "built"); err != nil {
			return err
		}
	}
	return nil
}
