package bootsets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ingot/inventory"
)

const (
	servedName = "served"
	// servedEvery is how often a file's time is worth a write.
	servedEvery = time.Minute
	// bootGrace is how long a set stays after a machine was given a file of it: longer
	// than any boot, after which its agent says which set it runs.
	bootGrace = 2 * time.Hour
)

// touch notes that a machine was given a file of the set.
func (s *Store) touch(id string) error {
	now := s.now()
	s.mu.Lock()
	due := now.Sub(s.served[id]) >= servedEvery
	if due {
		s.served[id] = now
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	path := filepath.Join(s.setDir(id), servedName)
	err := os.Chtimes(path, now, now)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.WriteFile(path, nil, 0o644); err == nil {
			err = os.Chtimes(path, now, now)
		}
	}
	if err != nil {
		return fmt.Errorf("note use of boot set %s: %w", id, err)
	}
	return nil
}

func (s *Store) recentlyServed(id string) bool {
	info, err := os.Stat(filepath.Join(s.setDir(id), servedName))
	return err == nil && s.now().Sub(info.ModTime()) < bootGrace
}

// collect removes the sets that nobody needs and returns their ids. Needed are the current
// one, the one before, the newest of those that were never current and of those that were
// withdrawn (a schedule would make them again), and those in use.
func (s *Store) collect(machines map[string]int) (removed []string, err error) {
	list, err := s.List()
	if err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	if current, err := s.Current(); err == nil {
		keep[current] = true
	}
	if before, err := s.Before(); err == nil {
		keep[before.ID] = true
	}
	var fresh, withdrawn bool
	for _, row := range list { // the newest first
		switch row.State {
		case inventory.BootSetCandidate, inventory.BootSetFailed:
			keep[row.ID], fresh = keep[row.ID] || !fresh, true
		case inventory.BootSetWithdrawn:
			keep[row.ID], withdrawn = keep[row.ID] || !withdrawn, true
		}
		if keep[row.ID] || machines[row.ID] > 0 || s.recentlyServed(row.ID) {
			continue
		}
		if err := s.remove(row.ID); err != nil {
			return removed, err
		}
		removed = append(removed, row.ID)
	}
	return removed, nil
}

// remove takes a set away. A file that is open is served to its end.
func (s *Store) remove(id string) error {
	s.mu.Lock()
	delete(s.opened, id)
	delete(s.served, id)
	s.mu.Unlock()
	gone := filepath.Join(s.dir, setsName, newPrefix+id)
	if err := os.Rename(s.setDir(id), gone); err != nil {
		return fmt.Errorf("remove boot set %s: %w", id, err)
	}
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("remove boot set %s: %w", id, err)
	}
	return nil
}
