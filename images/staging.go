package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"ingot/images/master"
)

// staging is a folder in which an image is put together. It is locked while its
// process lives, so that another one's sweep leaves it alone.
//
// Below chunks/ it has every chunk of the image: new ones, and links to those the store
// had. A collection that runs meanwhile can pull none of them away.
type staging struct {
	store *Store
	dir   string
	lock  *os.File
	room  *room

	mu     sync.Mutex
	chunks map[master.Digest]origin
}

// origin is where a staged chunk comes from.
type origin byte

const (
	chunkKept  origin = iota // the store had it
	chunkNew                 // it did not
	chunkMends               // it had a damaged one
)

// newStaging makes a folder. room bounds what goes in; nil is no bound.
func (s *Store) newStaging(ctx context.Context, room *room) (*staging, error) {
	st := &staging{store: s, room: room, chunks: map[master.Digest]origin{}}
	return st, s.locked(ctx, st.make) // or a sweep might come before the folder's lock
}

func (st *staging) make() (err error) {
	if st.dir, err = os.MkdirTemp(st.store.temp(), stagingPrefix); err != nil {
		return err
	}
	if st.lock, err = lockDir(st.dir); err == nil {
		err = os.Mkdir(filepath.Join(st.dir, "chunks"), 0o755)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(st.dir))
	}
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

// discard removes what is left of the folder.
func (st *staging) discard() error {
	return errors.Join(os.RemoveAll(st.dir), st.lock.Close())
}

func (st *staging) path(name string) string { return filepath.Join(st.dir, name) }

func (st *staging) chunk(d master.Digest) string { return filepath.Join(st.dir, "chunks", d.Hex()) }

// put is a [master.Put]. Nothing it writes is on stable storage before [staging.sync].
func (st *staging) put(sum master.Digest, frame []byte) error {
	st.mu.Lock()
	_, there := st.chunks[sum]
	if !there {
		st.chunks[sum] = chunkKept
	}
	st.mu.Unlock()
	if there {
		return nil
	}
	how, err := st.link(sum, frame)
	if err != nil || how == chunkKept {
		return err
	}
	if err := st.room.take(int64(len(frame))); err != nil {
		return err
	}
	if err := os.WriteFile(st.chunk(sum), frame, 0o644); err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.chunks[sum] = how
	return nil
}

// link links the store's chunk, and says what it has instead when that is not the frame.
func (st *staging) link(sum master.Digest, frame []byte) (origin, error) {
	path := st.store.chunk(sum)
	have, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(have, frame) {
		return chunkMends, nil
	}
	if err == nil {
		err = os.Link(path, st.chunk(sum))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return chunkNew, nil // or it was collected this moment
	}
	return chunkKept, err
}

// frame reads a staged frame.
func (st *staging) frame(d master.Digest) ([]byte, error) { return os.ReadFile(st.chunk(d)) }

// sync returns when all that was written to the store's file system is on stable storage
// (syncfs(2)): one call for thousands of files.
func (st *staging) sync() error {
	if err := unix.Syncfs(int(st.lock.Fd())); err != nil {
		return fmt.Errorf("sync the image store: %w", err)
	}
	return nil
}

// keepChunks makes the new chunks the store's. They must be on stable storage: a chunk
// never has its final name before its content.
func (st *staging) keepChunks() error {
	fresh := false
	for sum, how := range st.chunks {
		if how == chunkKept {
			continue
		}
		fresh = true
		if err := st.keep(sum, how == chunkMends); err != nil {
			return err
		}
	}
	if !fresh {
		return nil
	}
	return st.sync()
}

// keep links a staged chunk to its final name; replace puts it in the place of another.
func (st *staging) keep(sum master.Digest, replace bool) error {
	path := st.store.chunk(sum)
	if replace {
		second := st.chunk(sum) + ".mend"
		return errors.Join(os.Link(st.chunk(sum), second), os.Rename(second, path))
	}
	if err := os.Link(st.chunk(sum), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// putBack keeps the chunks that a collection took since. Called under the store's lock:
// after it no collection can come before the image is published.
func (st *staging) putBack() error {
	back := false
	for sum := range st.chunks {
		if _, err := os.Lstat(st.store.chunk(sum)); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		back = true
		if err := st.keep(sum, false); err != nil {
			return err
		}
	}
	if !back {
		return nil
	}
	return st.sync()
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
