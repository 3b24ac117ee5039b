package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"ingot/images/master"
	"ingot/inventory"
)

// staging is a folder in which an image is put together. It is locked while its
// process lives, so that another one's sweep leaves it alone.
type staging struct {
	dir  string
	lock *os.File
}

func (s *Store) newStaging() (*staging, error) {
	dir, err := os.MkdirTemp(s.temp(), "import-")
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &staging{dir, lock}, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// discard removes what is left of the folder.
func (st *staging) discard() error {
	return errors.Join(os.RemoveAll(st.dir), st.lock.Close())
}

func (st *staging) path(name string) string { return filepath.Join(st.dir, name) }

// sweep removes the remains of imports whose process is gone, and what was derived from
// images that are gone (while it was made).
func (s *Store) sweep() error {
	if err := s.sweepDerived(); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.temp())
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(s.temp(), e.Name())
		if !e.IsDir() || strings.HasPrefix(e.Name(), "delete-") {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			continue
		}
		lock, err := lockDir(path)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(path), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) sweepDerived() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, "derived"))
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

// publish makes the image in the folder part of the store. When the same digest is
// there under the same name, that one stays and is returned.
func (s *Store) publish(st *staging, image inventory.Image, manifest []byte) (inventory.Image, error) {
	document, err := json.MarshalIndent(image, "", " ")
	if err != nil {
		return image, err
	}
	dir := st.path("image")
	if err := errors.Join(writeSynced(filepath.Join(dir, manifestName), manifest), writeSynced(filepath.Join(dir, imageName), document), syncDir(dir)); err != nil {
		return image, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	final := s.blob(master.DigestOf(manifest))
	there, err := readImage(final)
	switch {
	case err == nil && there.Name == image.Name:
		return there, nil
	case err == nil:
		return image, inventory.Conflict("the same image is stored as %q already", there.Name)
	case !errors.Is(err, fs.ErrNotExist):
		return image, err
	}
	if err := os.Rename(dir, final); err != nil {
		return image, err
	}
	return image, syncDir(s.blobs())
}

// writeSynced writes a file and returns when it is on stable storage.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes names in a folder durable.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
