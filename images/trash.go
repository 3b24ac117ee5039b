package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ingot/images/master"
)

const trashPrefix = "delete-"

// discardImage takes an image out of the store. Its chunks stay until emptyTrash. Called
// under the lock; fs.ErrNotExist when it is not there.
func (s *Store) discardImage(d master.Digest) error {
	trash, err := os.MkdirTemp(s.temp(), trashPrefix)
	if err != nil {
		return err
	}
	if err := os.Rename(s.blob(d), filepath.Join(trash, "image")); err != nil {
		return errors.Join(err, os.Remove(trash))
	}
	err = syncDir(s.blobs())
	for format := range convertOptions {
		err = errors.Join(err, s.removeDerived(s.derived(d.String(), format)))
	}
	return err
}

// removeDerived removes a derived file's folder, if it is there; half of one is never
// seen.
func (s *Store) removeDerived(dir string) error {
	trash, err := os.MkdirTemp(s.temp(), trashPrefix)
	if err != nil {
		return err
	}
	err = os.Rename(dir, filepath.Join(trash, "derived"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(trash))
}

// emptyTrash removes what was discarded and is not being read, with the frames that
// nobody else has. It returns how many bytes of frames went. Called under the lock.
func (s *Store) emptyTrash(ctx context.Context) (freed int64, err error) {
	folders, err := filepath.Glob(filepath.Join(s.temp(), trashPrefix+"*"))
	if err != nil {
		return 0, err
	}
	var going []string
	for _, folder := range folders {
		read, err := beingRead(filepath.Join(folder, "image", manifestName))
		if err != nil {
			return 0, err
		}
		if !read {
			going = append(going, folder)
		}
	}
	if len(going) == 0 {
		return 0, nil
	}
	freed, done, err := s.removeFrames(ctx, func() (frames, error) { return s.usedFrames(ctx, going) })
	if err != nil || !done {
		return freed, err
	}
	for _, folder := range going {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	return freed, err
}

// beingRead reports whether a reader holds the manifest (see [Store.lease]).
func beingRead(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // a lock for writing needs that on NFS
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, f.Close()
	}
	return false, errors.Join(err, f.Close())
}

// release is told that a reader is done: what of a deleted image was kept for it goes.
func (s *Store) release(d master.Digest) error {
	if _, err := os.Stat(s.blob(d)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.locked(context.Background(), func() error {
		_, err := s.emptyTrash(context.Background())
		return err
	})
}

// frames are the names of the chunks of some images.
type frames map[master.Digest]struct{}

func (f frames) add(m *master.Manifest) {
	for _, c := range m.Chunks {
		f[c.Name()] = struct{}{}
	}
}

func readManifest(path string) (*master.Manifest, error) {
	document, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := master.ParseManifest(document)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return m, nil
}

// usedFrames are the frames of all images, and of deleted ones that are read still;
// without those of the folders. A manifest that can't be read is an
// error: nobody knows then what is unused.
func (s *Store) usedFrames(ctx context.Context, without []string) (frames, error) {
	used := frames{}
	paths, err := filepath.Glob(filepath.Join(s.blobs(), "*", manifestName))
	if err != nil {
		return nil, err
	}
	trash, err := filepath.Glob(filepath.Join(s.temp(), trashPrefix+"*", "image", manifestName))
	if err != nil {
		return nil, err
	}
	gone := map[string]bool{}
	for _, folder := range without {
		gone[folder] = true
	}
	for _, path := range append(paths, trash...) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if gone[filepath.Dir(filepath.Dir(path))] {
			continue
		}
		m, err := readManifest(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		used.add(m)
	}
	return used, nil
}
