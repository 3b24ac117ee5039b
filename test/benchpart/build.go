package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"ingot/images"
	"ingot/images/build"
)

// buildImage CACHE DIR: debian-12 into a store.
func buildImage(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: benchpart build CACHE DIR")
	}
	ctx := context.Background()
	r, err := build.EmbeddedRecipe("debian-12")
	if err != nil {
		return err
	}
	store, err := images.NewStore(filepath.Join(args[1], "store"))
	if err != nil {
		return err
	}
	opts := build.Options{Dir: args[1], Cache: args[0], Log: io.Discard}
	return build.Build(ctx, r, opts, func(ctx context.Context, made build.Result) error {
		o := rawOptions(images.FormatRaw)
		o.Traits = made.Traits
		_, err := store.Import(ctx, made.Raw, o)
		return err
	})
}
