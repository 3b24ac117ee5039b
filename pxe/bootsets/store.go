package bootsets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ingot/inventory"
	"ingot/pxe/bootfiles"
)

// The names in the directory.
const (
	setsName    = "sets"
	currentName = "current"
	lockName    = "lock"
	newPrefix   = "new-"
)

// Store are the sets in a directory. It may be used from any goroutine, and beside another
// program that uses the same directory: what changes sets needs Lock.
type Store struct {
	dir string
	now func() time.Time

	mu     sync.Mutex
	opened map[string]*bootfiles.Set
	served map[string]time.Time
}

// Open returns the store in dir, which is made when absent. A set of the layout before
// this one, with its manifest in dir, becomes the current set.
func Open(dir string, now func() time.Time) (*Store, error) {
	s := &Store{dir: dir, now: now, opened: map[string]*bootfiles.Set{}, served: map[string]time.Time{}}
	if err := os.MkdirAll(filepath.Join(dir, setsName), 0o755); err != nil {
		return nil, fmt.Errorf("open boot sets: %w", err)
	}
	if err := s.takeOver(); err != nil {
		return nil, fmt.Errorf("open boot sets: take over the set in %s: %w", dir, err)
	}
	return s, nil
}

// Dir is the store's directory.
func (s *Store) Dir() string { return s.dir }

func (s *Store) setDir(id string) string { return filepath.Join(s.dir, setsName, id) }

// Current is the id of the set that boots begin with. None is fs.ErrNotExist.
func (s *Store) Current() (string, error) {
	target, err := os.Readlink(filepath.Join(s.dir, currentName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no boot files in %s: %w: make them with `ingot agent build`", s.dir, err)
	}
	return filepath.Base(target), err
}

// point moves the link, once the set is on stable storage: a machine that loses power never
// comes back with a current set that is cut short.
func (s *Store) point(id string) error {
	if err := s.flush(); err != nil {
		return err
	}
	link := filepath.Join(s.dir, currentName)
	if err := os.Remove(link + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Join(setsName, id), link+".new"); err != nil {
		return err
	}
	if err := os.Rename(link+".new", link); err != nil {
		return err
	}
	return s.flush()
}

// flush returns when all of the file system is on stable storage (syncfs(2)).
func (s *Store) flush() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(os.NewSyscallError("syncfs", unix.Syncfs(int(dir.Fd()))), dir.Close())
}

// Set returns the files of a set. An unknown one is fs.ErrNotExist.
func (s *Store) Set(id string) (*bootfiles.Set, error) {
	if !isID(id) {
		return nil, fmt.Errorf("boot set %q: %w", id, fs.ErrNotExist)
	}
	s.mu.Lock()
	set := s.opened[id]
	s.mu.Unlock()
	if set != nil {
		return set, nil
	}
	set, err := bootfiles.Open(s.setDir(id))
	if err != nil {
		return nil, fmt.Errorf("boot set %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened[id] = set
	return set, nil
}

func isID(id string) bool { return id != "" && strings.Trim(id, "0123456789abcdef") == "" }

// OpenFile opens a file of a set, "" being the current one, and notes that the set is in
// use. An unknown set or name is fs.ErrNotExist.
func (s *Store) OpenFile(id, name string) (*os.File, fs.FileInfo, error) {
	if id == "" {
		var err error
		if id, err = s.Current(); err != nil {
			return nil, nil, err
		}
	}
	set, err := s.Set(id)
	if err != nil {
		return nil, nil, err
	}
	f, _, err := set.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = s.touch(id)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// ids are the sets that are there.
func (s *Store) ids() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, setsName))
	var ids []string
	for _, e := range entries {
		if isID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}

// List describes the sets, the newest first. Of one that can't be read there is only its
// id: Find says what is wrong with it.
func (s *Store) List() ([]inventory.BootSet, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, fmt.Errorf("list boot sets: %w", err)
	}
	list := []inventory.BootSet{}
	for _, id := range ids {
		row, err := s.Get(id)
		if err != nil {
			row = inventory.BootSet{ID: id, State: inventory.BootSetDamaged}
		}
		list = append(list, row)
	}
	slices.SortFunc(list, func(a, b inventory.BootSet) int {
		if c := b.Built.Compare(a.Built); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// Find returns the set whose id begins with ref. None is inventory.ErrNotFound, several
// are inventory.ErrInvalid.
func (s *Store) Find(ref string) (inventory.BootSet, error) {
	ids, err := s.ids()
	if err != nil {
		return inventory.BootSet{}, fmt.Errorf("find boot set: %w", err)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, ref) })
	switch {
	case ref == "" || len(ids) == 0:
		return inventory.BootSet{}, inventory.NotFound("boot set", ref)
	case len(ids) > 1:
		return inventory.BootSet{}, inventory.Invalid("boot set %q: %s begin so", ref, strings.Join(ids, ", "))
	}
	return s.Get(ids[0])
}

// whole reports whether a set's files are as its manifest says.
func (s *Store) whole(id string) bool {
	set, err := bootfiles.Open(s.setDir(id))
	if err == nil {
		err = set.Verify()
	}
	if err == nil {
		_, err = s.read(id)
	}
	return err == nil
}

// withKey is the whole set that was made from what the key stands for.
func (s *Store) withKey(key string) (id string, found bool, err error) {
	ids, err := s.ids()
	if err != nil {
		return "", false, err
	}
	for _, id := range ids {
		set, err := s.Set(id)
		if err != nil {
			continue // damaged: it is made again
		}
		if set.Manifest().Key == key && s.whole(id) {
			return id, true, nil
		}
	}
	return "", false, nil
}
