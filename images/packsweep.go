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
// that no image may have, and alone by who removes frames.
const importsLock = "imports.lock"

func (s *Store) flockImports(how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(s.dir, importsLock), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// removeFrames removes what no image has: whole packs, and the bytes in the others. It
// returns how many went; none while an import runs, whose end removes them. Called under
// the lock.
func (s *Store) removeFrames(ctx context.Context, used func() (frames, error)) (freed int64, done bool, err error) {
	lock, err := s.flockImports(unix.LOCK_EX)
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
	if err := replaceIndex(path, live); err != nil {
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

// sweepPacks removes what a keeping that was cut short left. Called under the lock.
func (s *Store) sweepPacks() error {
	entries, err := os.ReadDir(s.packs())
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(s.packs(), e.Name())
		stem, isData := strings.CutSuffix(path, packDataSuffix)
		_, statErr := os.Stat(stem + packIndexSuffix)
		if isData && errors.Is(statErr, fs.ErrNotExist) || strings.HasSuffix(path, ".new") {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
