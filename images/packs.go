package images

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ingot/images/master"
)

// packs is the folder of the files that hold the frames which images are made of: one
// pack for each import, with the frames that no image had before it. A file for each
// frame would cost a server a fifth of its speed, and an import two thirds of its time.
func (s *Store) packs() string { return filepath.Join(s.dir, "packs") }

const (
	packDataSuffix  = ".data"
	packIndexSuffix = ".index"
)

func (s *Store) packFile(number int, suffix string) string {
	return filepath.Join(s.packs(), fmt.Sprintf("%08d%s", number, suffix))
}

// location is where a frame lies.
type location struct {
	pack           int
	offset, length int64
}

// packIndex is which frames there are, as the packs' folder had it at one time. It never
// changes.
type packIndex struct {
	changed time.Time // of the folder
	// settled: the folder had not changed for a while when it was read, so that its time
	// tells the next change from this one.
	settled bool
	// generation counts the changes that were seen.
	generation int
	packs      map[int]storedPack
	where      map[master.Digest]location
}

// settleTime is longer than the steps of any file system's clock.
const settleTime = 2 * time.Second

// storedPack is one pack's index, and the file it was read from.
type storedPack struct {
	changed time.Time
	bytes   int64
	packContent
}

func (p storedPack) same(other storedPack) bool {
	return p.bytes == other.bytes && p.changed.Equal(other.changed)
}

// numbers are the packs' numbers, from the oldest on.
func (x *packIndex) numbers() []int { return slices.Sorted(maps.Keys(x.packs)) }

// frameIndex returns the index, read again when the folder changed since.
func (s *Store) frameIndex() (*packIndex, error) {
	info, err := os.Stat(s.packs())
	if err != nil {
		return nil, err
	}
	if x := s.index.Load(); x != nil && x.settled && x.changed.Equal(info.ModTime()) {
		return x, nil
	}
	return s.reloadIndex()
}

// reloadIndex reads what is new in the folder. Of a frame that is in several packs (two
// servers imported it at once) the oldest counts, for everyone.
func (s *Store) reloadIndex() (*packIndex, error) {
	before := s.index.Load()
	if before == nil {
		before = &packIndex{}
	}
	info, err := os.Stat(s.packs()) // before the names: what comes meanwhile is seen the next time
	if err != nil {
		return nil, err
	}
	x := &packIndex{changed: info.ModTime(), settled: time.Since(info.ModTime()) > settleTime, generation: before.generation, packs: map[int]storedPack{}}
	names, err := filepath.Glob(filepath.Join(s.packs(), "*"+packIndexSuffix))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := x.read(name, before); err != nil {
			return nil, err
		}
	}
	if maps.EqualFunc(x.packs, before.packs, storedPack.same) {
		x.where = before.where
	} else {
		x.locate()
	}
	s.index.Store(x)
	return x, nil
}

// locate fills in where each frame is.
func (x *packIndex) locate() {
	x.generation++
	x.where = map[master.Digest]location{}
	for _, number := range x.numbers() {
		for _, e := range x.packs[number].entries {
			if _, ok := x.where[e.sum]; !ok {
				x.where[e.sum] = location{number, e.offset, e.length}
			}
		}
	}
}

func (x *packIndex) read(name string, before *packIndex) error {
	number, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), packIndexSuffix))
	if err != nil {
		return nil // not ours
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p := storedPack{changed: info.ModTime(), bytes: info.Size()}
	if old, ok := before.packs[number]; ok && old.same(p) {
		p.packContent = old.packContent
	} else if p.packContent, err = readIndex(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	x.packs[number] = p
	return nil
}

// readPlace returns the bytes of a frame, unchecked.
func (s *Store) readPlace(p location) ([]byte, error) {
	f, err := os.Open(s.packFile(p.pack, packDataSuffix))
	if err != nil {
		return nil, err
	}
	frame := make([]byte, p.length)
	_, err = f.ReadAt(frame, p.offset)
	return frame, errors.Join(err, f.Close())
}
