package images

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// sweep removes the remains of imports whose process is gone, and what was derived from
// images that are gone (while it was made).
func (s *Store) sweep() error {
	if err := errors.Join(s.sweepDerived(), s.sweepPacks()); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.temp())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.sweepOne(filepath.Join(s.temp(), e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) sweepOne(path string, e fs.DirEntry) error {
	if strings.HasPrefix(e.Name(), trashPrefix) {
		read, err := beingRead(filepath.Join(path, "image", manifestName))
		if err != nil || read {
			return err
		}
		return os.RemoveAll(path)
	}
	lock, err := lockDir(path)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(path), lock.Close())
}

func (s *Store) sweepDerived() error {
	entries, err := os.ReadDir(s.allDerived())
	if err != nil {
		return err
	}
	for _, e := range entries {
		hex, _, _ := strings.Cut(e.Name(), ".")
		if _, err := os.Stat(filepath.Join(s.blobs(), hex)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(s.dir, "derived", e.Name())); err != nil {
			return err
		}
	}
	return nil
}
