package images

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"ingot/images/master"
	"ingot/inventory"
)

// publish makes the image in the staging folder part of the store. When the same digest is
// there under the same name, that one stays, gets the documents it lacks, and is returned.
func (s *Store) publish(ctx context.Context, st *staging, image inventory.Image, manifest []byte, o ImportOptions) (inventory.Image, error) {
	if err := stageImage(st, image, manifest, o); err != nil {
		return image, err
	}
	if err := st.sync(); err != nil {
		return image, err
	}
	err := s.locked(ctx, func() error {
		if err := st.keepPack(); err != nil {
			return err
		}
		final := s.blob(master.DigestOf(manifest))
		there, err := readImage(final)
		switch {
		case err == nil && there.Name == image.Name:
			image = there
			return addMissing(st.path("image"), final)
		case err == nil:
			return inventory.Conflict("the same image is stored as %q already", there.Name)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := os.Rename(st.path("image"), final); err != nil {
			return err
		}
		return syncDir(s.blobs())
	})
	return image, err
}

// stageImage writes the image's folder.
func stageImage(st *staging, image inventory.Image, manifest []byte, o ImportOptions) error {
	document, err := json.MarshalIndent(image, "", " ")
	if err != nil {
		return err
	}
	dir := st.path("image")
	for _, folder := range []string{"", filesFolder, testsFolder, signaturesFolder} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			return err
		}
	}
	if err := stageFiles(st, filepath.Join(dir, filesFolder), o); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, manifestName), manifest, 0o644), os.WriteFile(filepath.Join(dir, imageName), document, 0o644))
}

// addMissing moves the documents that an image does not have to it.
func addMissing(staged, final string) error {
	entries, err := os.ReadDir(filepath.Join(staged, filesFolder))
	if err != nil || len(entries) == 0 {
		return err
	}
	to := filepath.Join(final, filesFolder)
	if err := makeFolder(to); err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Link(filepath.Join(staged, filesFolder, e.Name()), filepath.Join(to, e.Name())); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return syncDir(to)
}

// makeFolder makes a folder in one that must be there: an image that is deleted
// meanwhile does not come back.
func makeFolder(path string) error {
	if err := os.Mkdir(path, 0o755); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
