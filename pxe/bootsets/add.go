package bootsets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ingot/inventory"
	"ingot/pxe/bootfiles"
)

// Lock keeps every other change of the sets away until unlock is called, or this program
// ends. Who is kept away gets inventory.ErrBusy.
func (s *Store) Lock() (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock boot sets: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = fmt.Errorf("a build or a test of the boot environment is under way in %s: %w", s.dir, inventory.ErrBusy)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// waitEvery is how often a lock is tried that somebody else has.
const waitEvery = 500 * time.Millisecond

// wait is Lock when it can be had.
func (s *Store) wait(ctx context.Context) (unlock func() error, err error) {
	tick := time.NewTicker(waitEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the build or test of the boot environment in %s: %w", s.dir, ctx.Err())
		case <-tick.C:
		}
		if unlock, err = s.Lock(); !errors.Is(err, inventory.ErrBusy) {
			return unlock, err
		}
	}
}

// add makes a set by build, which makes it in the directory it is given, and keeps it under
// its digest. A set with the same content stays, and is known by its new key; one
// that is damaged is replaced.
func (s *Store) add(build func(out, parts string) error) (inventory.BootSet, error) {
	if err := s.sweep(); err != nil {
		return inventory.BootSet{}, err
	}
	tmp, err := os.MkdirTemp(filepath.Join(s.dir, setsName), newPrefix)
	if err != nil {
		return inventory.BootSet{}, err
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "set")
	if err := build(made, s.dir); err != nil {
		return inventory.BootSet{}, err
	}
	set, err := bootfiles.Open(made)
	if err != nil {
		return inventory.BootSet{}, err
	}
	return s.keep(made, set.Manifest())
}

// keep moves a set to its place.
func (s *Store) keep(made string, m bootfiles.Manifest) (inventory.BootSet, error) {
	id := idOf(m)
	if s.whole(id) {
		if err := m.Write(s.setDir(id)); err != nil {
			return inventory.BootSet{}, err
		}
		s.mu.Lock()
		delete(s.opened, id)
		s.mu.Unlock()
		return s.Get(id)
	}
	s.mu.Lock()
	delete(s.opened, id)
	s.mu.Unlock()
	dest := s.setDir(id)
	if err := os.RemoveAll(dest); err != nil {
		return inventory.BootSet{}, err
	}
	if err := writeRecord(made, record{Built: s.now().UTC()}); err != nil {
		return inventory.BootSet{}, err
	}
	if err := os.Rename(made, dest); err != nil {
		return inventory.BootSet{}, err
	}
	return s.Get(id)
}

// idOf is the beginning of the digest.
func idOf(m bootfiles.Manifest) string { return strings.TrimPrefix(m.Digest(), "sha256:")[:16] }

// sweep removes what builds left that were killed.
func (s *Store) sweep() error {
	left, err := filepath.Glob(filepath.Join(escape(s.dir), setsName, newPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// takeOver makes a set of what stood in the directory itself, as versions before this one
// had it: manifest.json, and the files in a folder beside it.
func (s *Store) takeOver() error {
	path := filepath.Join(s.dir, "manifest.json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := s.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.Current(); errors.Is(err, fs.ErrNotExist) {
		if err := s.takeIn(); err != nil {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(escape(s.dir), "set-*"))
	if err != nil {
		return err
	}
	for _, dir := range append(old, path) {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// takeIn copies the names of the old set's files into a set of its own, by hard links: the
// old one stays whole until the new one is current.
func (s *Store) takeIn() error {
	old, err := bootfiles.Open(s.dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(s.dir, "manifest.json"))
	if err != nil {
		return err
	}
	m := old.Manifest()
	row, err := s.add(func(out, _ string) error {
		if err := os.Mkdir(out, 0o755); err != nil {
			return err
		}
		for i, f := range m.Files {
			if err := os.Link(filepath.Join(s.dir, f.Path), filepath.Join(out, f.Name)); err != nil {
				return err
			}
			m.Files[i].Path = f.Name
		}
		return m.Write(out)
	})
	if err != nil {
		return err
	}
	if err := s.edit(row.ID, func(r *record) { r.Built = info.ModTime().UTC() }); err != nil {
		return err
	}
	return s.promote(row.ID)
}
