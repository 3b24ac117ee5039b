package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// importsLock is locked shared by each import while it runs, because it counts on frames
// that no image may have, and alone by who removes frames. readersLock is locked shared by
// each reader of an image, and alone, for a moment, by who removes a pack whose frames are
// elsewhere. compressLock is locked by who compresses.
const (
	importsLock  = "imports.lock"
	readersLock  = "readers.lock"
	compressLock = "compress.lock"
)

// flock locks a file of the store until it is closed (flock(2)).
func (s *Store) flock(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// removeFrames removes what no image has: whole packs, and the bytes in the others. It
// returns how many went; none while an import runs, whose end removes them. Called under
// the lock.
func (s *Store) removeFrames(ctx context.Context, used func() (frames, error)) (freed int64, done bool, err error) {
	lock, err := s.flock(importsLock, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	keep, err := used()
	if err != nil {
		return 0, false, err
	}
	index, err := s.reloadIndex()
	if err != nil {
		return 0, false, err
	}
	for _, number := range index.numbers() {
		if err := ctx.Err(); err != nil {
			return freed, false, err
		}
		n, err := s.thinPack(index, number, keep)
		freed += n
		if err != nil {
			return freed, false, err
		}
	}
	return freed, true, nil
}

// thinPack removes from a pack what is not kept, and what an older pack has too.
func (s *Store) thinPack(index *packIndex, number int, keep frames) (freed int64, err error) {
	var live []packEntry
	for _, e := range index.packs[number].entries {
		if _, ok := keep[e.sum]; ok && index.where[e.sum].pack == number {
			live = append(live, e)
			continue
		}
		freed += e.length
	}
	data, path := s.packFile(number, packDataSuffix), s.packFile(number, packIndexSuffix)
	switch {
	case freed == 0:
		return 0, nil
	case len(live) == 0:
		if err := os.Remove(path); err != nil {
			return 0, err
		}
		return freed, errors.Join(os.Remove(data), syncDir(s.packs()))
	}
	if err := replaceIndex(path, packContent{live, index.packs[number].plain}); err != nil {
		return 0, err
	}
	return freed, punch(data, live)
}

// punch gives back to the file system what lies between the entries (fallocate(2)). One
// that can't keeps the bytes until all of the pack goes.
func punch(path string, live []packEntry) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	at := int64(0)
	for _, e := range append(live, packEntry{offset: info.Size()}) {
		if e.offset > at {
			err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, e.offset-at)
			if errors.Is(err, unix.EOPNOTSUPP) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("give back %d bytes of %s: %w", e.offset-at, path, err)
			}
		}
		at = e.end()
	}
	return nil
}

// sweepPacks removes the packs that have no index: of a keeping that was cut short, or of
// frames that are in another pack by now. While an image is read or an import runs they
// stay. Called under the lock.
func (s *Store) sweepPacks() (err error) {
	left, err := s.leftPacks()
	if err != nil || len(left) == 0 {
		return err
	}
	for _, name := range []string{importsLock, readersLock} {
		lock, lockErr := s.flock(name, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(lockErr, unix.EWOULDBLOCK) {
			return nil
		}
		if lockErr != nil {
			return lockErr
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) leftPacks() (left []string, err error) {
	entries, err := os.ReadDir(s.packs())
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(s.packs(), e.Name())
		stem, isData := strings.CutSuffix(path, packDataSuffix)
		_, statErr := os.Stat(stem + packIndexSuffix)
		if isData && errors.Is(statErr, fs.ErrNotExist) || strings.HasSuffix(path, ".new") {
			left = append(left, path)
		}
	}
	return left, nil
}
