package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ingot/images/master"
	"ingot/inventory"
)

// oldDataName is the file that held all frames of an image before chunks were shared.
const oldDataName = "data"

// upgradeAll converts the images of a store that was written before chunks were shared:
// the frames go from each data file into packs, and only when they are on stable storage
// does the file go. It can be cut short anywhere and run again. An image that can't be
// converted (damaged, or no room for a second copy) stays as it is; opening it says why.
func (s *Store) upgradeAll(ctx context.Context) error {
	old, err := filepath.Glob(filepath.Join(s.blobs(), "*", oldDataName))
	if err != nil || len(old) == 0 {
		return err
	}
	for _, path := range old {
		d, err := master.ParseDigest("sha256:" + filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue // no image's folder
		}
		if err := s.upgradeImage(ctx, d); err != nil {
			s.mu.Lock()
			s.upgrade[d] = err
			s.mu.Unlock()
		}
	}
	return ctx.Err()
}

// upgradeError is why an image is still in the old layout.
func (s *Store) upgradeError(d master.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upgrade[d]
}

func (s *Store) upgradeImage(ctx context.Context, d master.Digest) (err error) {
	dir := s.blob(d)
	data, err := os.Open(filepath.Join(dir, oldDataName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process was faster
	}
	if err != nil {
		return err
	}
	defer data.Close()
	m, err := s.load(d)
	if err != nil {
		return err
	}
	st, err := s.newStaging(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.discard()) }()
	if err := stageFrames(ctx, st, m.Manifest, data); err != nil {
		return err
	}
	if err := st.sync(); err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		if err := errors.Join(st.keepPack(), fillContent(dir, m.Manifest)); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(dir, oldDataName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncDir(dir)
	})
}

func stageFrames(ctx context.Context, st *staging, m *master.Manifest, data *os.File) error {
	for i, c := range m.Chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		frame := make([]byte, c.FileLength)
		if _, err := data.ReadAt(frame, c.FileOffset); err != nil {
			return fmt.Errorf("read the data file at %d: %w", c.FileOffset, err)
		}
		if master.DigestOf(frame) != c.FrameSHA256 {
			return fmt.Errorf("chunk %d, at %d of the data file, is damaged", i, c.FileOffset)
		}
		if err := st.put(c.Name(), frame); err != nil {
			return err
		}
	}
	return nil
}

// fillContent adds to an image's document what older versions did not write.
func fillContent(dir string, m *master.Manifest) error {
	return changeImage(dir, func(image *inventory.Image) { image.ContentDigest = m.ContentDigest.String() })
}
