package images

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ingot/images/master"
	"ingot/inventory"
)

// renewSizes writes into the documents of the images that have some of the frames what
// they take by now. Called under the lock.
func (s *Store) renewSizes(ctx context.Context, moved frames) error {
	paths, err := filepath.Glob(filepath.Join(s.blobs(), "*", manifestName))
	if err != nil {
		return err
	}
	index, err := s.reloadIndex()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := readManifest(path)
		if err != nil || !slices.ContainsFunc(m.Chunks, func(c master.Chunk) bool { _, ok := moved[c.Name()]; return ok }) {
			continue // its sizes are not what is wrong with it
		}
		d := Data{manifest: m}
		if d.places, err = index.find(m); err == nil {
			err = d.place()
		}
		if err != nil {
			continue
		}
		if err := changeImage(filepath.Dir(path), func(image *inventory.Image) { image.StoredBytes = d.Size() }); err != nil {
			return err
		}
	}
	return nil
}

// changeImage writes an image's document anew.
func changeImage(dir string, change func(*inventory.Image)) error {
	image, err := readImage(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	image.Tests, image.Signers = nil, nil
	change(&image)
	document, err := json.MarshalIndent(image, "", " ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, imageName)
	if err := writeSynced(path+".new", document); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
