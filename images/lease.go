package images

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ingot/images/master"
)

// lease is an image that is being read, and the packs.
type lease struct{ manifest, packs *os.File }

func (l *lease) close() error { return errors.Join(l.manifest.Close(), l.packs.Close()) }

// lease marks an image as being read, for all processes: flock(2) on its manifest and on
// the readers' lock, before the index of the packs is read. It is fs.ErrNotExist when the
// image is not there or on its way out.
func (s *Store) lease(d master.Digest) (*lease, error) {
	manifest, err := lockManifest(filepath.Join(s.blob(d), manifestName))
	if err != nil {
		return nil, err
	}
	packs, err := s.flock(readersLock, unix.LOCK_SH)
	if err != nil {
		return nil, errors.Join(err, manifest.Close())
	}
	return &lease{manifest, packs}, nil
}

func lockManifest(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fs.ErrNotExist
		}
		return nil, errors.Join(err, f.Close())
	}
	// It may have been deleted before the lock.
	here, err := f.Stat()
	there, statErr := os.Stat(path)
	if err = errors.Join(err, statErr); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !os.SameFile(here, there) {
		return nil, errors.Join(fs.ErrNotExist, f.Close())
	}
	return f, nil
}
