package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ingot/inventory"
)

func (s *Store) derived(digest string, format Format) string {
	return filepath.Join(s.allDerived(), digest[len("sha256:"):]+"."+string(format))
}

const derivedName = "derived.json"

// readDerived reads what is there, and notes when: see [Store.SetQuota].
func (s *Store) readDerived(dir string) (Derived, error) {
	var d Derived
	text, err := os.ReadFile(filepath.Join(dir, derivedName))
	if err != nil {
		return d, err
	}
	if err := os.Chtimes(filepath.Join(dir, derivedName), s.now(), s.now()); err != nil {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("read %s: %w", filepath.Join(dir, derivedName), err)
	}
	d.Path = filepath.Join(dir, "disk")
	info, err := os.Stat(d.Path)
	if err == nil && info.Size() != d.SizeBytes {
		err = fmt.Errorf("%s has %d bytes, had %d: remove %s", d.Path, info.Size(), d.SizeBytes, dir)
	}
	return d, err
}

// keepDerived makes the folder part of the store; one that another process made first
// stays, unless it is broken. Nothing is kept of an image that was deleted meanwhile.
func (s *Store) keepDerived(ctx context.Context, out, dir string, d Derived) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := errors.Join(writeSynced(filepath.Join(out, derivedName), text), syncDir(out)); err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		hex, _, _ := strings.Cut(filepath.Base(dir), ".")
		if _, err := os.Stat(filepath.Join(s.blobs(), hex)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = inventory.NotFound("image", hex)
			}
			return err
		}
		if _, err := s.readDerived(dir); err == nil {
			return nil
		}
		if err := errors.Join(s.removeDerived(dir), os.Rename(out, dir)); err != nil {
			return err
		}
		return syncDir(filepath.Dir(dir))
	})
}
