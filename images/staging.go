package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"ingot/images/master"
)

// staging is a folder in which an image is put together. It is locked while its
// process lives, so that another one's sweep leaves it alone. While it is there no frame
// of the store goes.
type staging struct {
	store   *Store
	dir     string
	lock    *os.File
	imports *os.File
	room    *room
	index   *packIndex
	pack    packWriter
}

// newStaging makes a folder. room bounds what goes in; nil is no bound.
func (s *Store) newStaging(ctx context.Context, room *room) (*staging, error) {
	st := &staging{store: s, room: room}
	if err := st.waitImports(ctx); err != nil {
		return nil, err
	}
	err := s.locked(ctx, st.make) // or a sweep might come before the folder's lock
	if err != nil {
		return nil, errors.Join(err, st.imports.Close())
	}
	return st, nil
}

// waitImports waits until nobody removes frames.
func (st *staging) waitImports(ctx context.Context) (err error) {
	for wait := time.Millisecond; ; wait = min(2*wait, lockWait) {
		st.imports, err = st.store.flock(importsLock, unix.LOCK_SH|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (st *staging) make() (err error) {
	if st.index, err = st.store.reloadIndex(); err != nil {
		return err
	}
	if st.dir, err = os.MkdirTemp(st.store.temp(), stagingPrefix); err != nil {
		return err
	}
	if st.lock, err = lockDir(st.dir); err != nil {
		return errors.Join(err, os.RemoveAll(st.dir))
	}
	st.pack.path = st.path("pack" + packDataSuffix)
	return nil
}

const stagingPrefix = "import-"

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

// discard removes what is left of the folder, and what could not go while it was there.
func (st *staging) discard() error {
	err := errors.Join(st.pack.close(), os.RemoveAll(st.dir), st.lock.Close(), st.imports.Close())
	trash, globErr := filepath.Glob(filepath.Join(st.store.temp(), trashPrefix+"*"))
	if err = errors.Join(err, globErr); err != nil || len(trash) == 0 {
		return err
	}
	return st.store.locked(context.Background(), func() error {
		_, err := st.store.emptyTrash(context.Background())
		return err
	})
}

func (st *staging) path(name string) string { return filepath.Join(st.dir, name) }

// have is whether the store has the bytes, which hash to sum: see [master.WriteOptions].
func (st *staging) have(sum master.Digest, rawBytes int64) bool {
	p, there := st.index.where[sum]
	return there && st.whole(p, master.Chunk{Length: rawBytes, SHA256: sum})
}

// whole reads the frame of a chunk, and compares the hash of what is in it.
func (st *staging) whole(p location, c master.Chunk) bool {
	frame, err := st.store.readPlace(p)
	if err != nil {
		return false
	}
	_, err = c.Unpack(frame, c.Room())
	return err == nil
}

// put is a [master.Put]: it keeps a frame that the store lacks, or that takes the place of
// the one that it has. Nothing it writes is on stable storage before [staging.sync].
func (st *staging) put(sum master.Digest, frame []byte) error {
	if st.pack.has(sum) {
		return nil
	}
	if _, there := st.index.where[sum]; there {
		st.pack.replaced = append(st.pack.replaced, sum)
	}
	if err := st.room.take(int64(len(frame))); err != nil {
		return err
	}
	return st.pack.add(sum, frame)
}

// storedBytes is the size of the data file of an image that is staged.
func (st *staging) storedBytes(m *master.Manifest) (int64, error) {
	d := Data{manifest: m, places: make([]location, len(m.Chunks))}
	for i, c := range m.Chunks {
		if p, ok := st.pack.place(c.Name()); ok {
			d.places[i] = p
		} else {
			d.places[i] = st.index.where[c.Name()]
		}
	}
	if err := d.place(); err != nil {
		return 0, err
	}
	return d.Size(), nil
}

// frame reads a frame of the image.
func (st *staging) frame(d master.Digest) ([]byte, error) {
	if st.pack.has(d) {
		return st.pack.read(d)
	}
	p, ok := st.index.where[d]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return st.store.readPlace(p)
}

// chunk returns the bytes of a chunk of the image.
func (st *staging) chunk(c master.Chunk) ([]byte, error) {
	frame, err := st.frame(c.Name())
	if err != nil {
		return nil, err
	}
	return c.Unpack(frame, c.Room())
}

// sync returns when all that was staged is on stable storage.
func (st *staging) sync() error {
	if err := st.pack.sync(); err != nil {
		return err
	}
	return filepath.WalkDir(st.path("image"), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == st.path("image") {
			return nil
		}
		if err != nil {
			return err
		}
		return syncDir(path)
	})
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

// syncDir makes names in a folder durable, or a file's content.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
