package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"ingot/inventory"
)

// input gets a file that the recipe names into the cache and returns its path.
func (b *build) input(ctx context.Context, key string, in Input) (string, error) {
	b.inputs.Files = append(b.inputs.Files, InputFile{Key: key, SHA256: in.SHA256, URL: in.URL})
	where := b.recipe.place(key) + "key " + key
	if !b.cache.has(in.SHA256, -1) {
		switch {
		case b.opts.Pinned != nil:
			return "", fmt.Errorf("%s: the cache %s lacks it, and the inputs are pinned: %w", where, b.cache.dir, inventory.ErrNotFound)
		case in.URL != "":
			if err := b.cache.download(ctx, in.URL, in.SHA256); err != nil {
				return "", fmt.Errorf("%s: %w", where, err)
			}
		default:
			f, err := os.Open(b.beside(in.File))
			if err != nil {
				return "", fmt.Errorf("%s: %w", where, err)
			}
			defer f.Close()
			if _, err := b.cache.put(f, in.SHA256); err != nil {
				return "", inventory.Invalid("%s: %s: %v", where, in.File, err)
			}
		}
	}
	path, err := b.cache.verify(in.SHA256)
	if err != nil {
		return "", fmt.Errorf("%s: %w", where, err)
	}
	return path, nil
}

// beside is the path of a file beside the recipe.
func (b *build) beside(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(b.recipe.dir, file)
}
