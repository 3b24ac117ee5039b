package bootsets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ingot/inventory"
)

// recordName is what is known of a set beside its manifest.
const recordName = "record.json"

// record is the content of record.json.
type record struct {
	Built     time.Time               `json:"built"`
	Promoted  time.Time               `json:"promoted,omitzero"`
	Withdrawn time.Time               `json:"withdrawn,omitzero"`
	Tests     []inventory.BootSetTest `json:"tests,omitempty"`
}

func (s *Store) read(id string) (r record, err error) {
	path := filepath.Join(s.setDir(id), recordName)
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read record of boot set %s: %w", id, err)
	}
	return r, nil
}

func (s *Store) write(id string, r record) error {
	if err := writeRecord(s.setDir(id), r); err != nil {
		return fmt.Errorf("write record of boot set %s: %w", id, err)
	}
	return nil
}

// writeRecord writes a record into the directory of a set, by rename.
func writeRecord(dir string, r record) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, recordName)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (s *Store) edit(id string, f func(*record)) error {
	r, err := s.read(id)
	if err != nil {
		return err
	}
	f(&r)
	return s.write(id, r)
}

// Get describes a set.
func (s *Store) Get(id string) (inventory.BootSet, error) {
	set, err := s.Set(id)
	if err != nil {
		return inventory.BootSet{}, err
	}
	r, err := s.read(id)
	if err != nil {
		return inventory.BootSet{}, err
	}
	current, err := s.Current()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return inventory.BootSet{}, err
	}
	m := set.Manifest()
	out := inventory.BootSet{ID: id, Digest: m.Digest(), Kernel: m.KernelVersion, AgentVersion: m.Agent.Version,
		Built: r.Built, Promoted: r.Promoted, Withdrawn: r.Withdrawn, Tests: r.Tests}
	for _, f := range m.Files {
		out.SizeBytes += f.SizeBytes
	}
	for _, p := range m.Packages {
		out.Packages = append(out.Packages, inventory.BootPackage(p))
	}
	out.State = state(out, current)
	return out, nil
}

func state(s inventory.BootSet, current string) inventory.BootSetState {
	switch {
	case s.ID == current:
		return inventory.BootSetCurrent
	case !s.Withdrawn.IsZero():
		return inventory.BootSetWithdrawn
	case !s.Promoted.IsZero():
		return inventory.BootSetFormer
	case s.Problem() != "":
		return inventory.BootSetFailed
	}
	return inventory.BootSetCandidate
}

// tested keeps the newest test of each mode.
func (s *Store) tested(id string, t inventory.BootSetTest) error {
	return s.edit(id, func(r *record) {
		for i := range r.Tests {
			if r.Tests[i].Mode == t.Mode {
				r.Tests[i] = t
				return
			}
		}
		r.Tests = append(r.Tests, t)
	})
}

// promote makes a set current.
func (s *Store) promote(id string) error {
	if err := s.edit(id, func(r *record) { r.Promoted, r.Withdrawn = s.now().UTC(), time.Time{} }); err != nil {
		return err
	}
	return s.point(id)
}

// Before is the set that was current before the current one and was not withdrawn. None
// is inventory.ErrNotFound.
func (s *Store) Before() (inventory.BootSet, error) {
	list, err := s.List()
	if err != nil {
		return inventory.BootSet{}, err
	}
	var before inventory.BootSet
	for _, row := range list {
		if row.State == inventory.BootSetFormer && row.Promoted.After(before.Promoted) {
			before = row
		}
	}
	if before.ID == "" {
		return before, fmt.Errorf("no boot set was current before this one: %w", inventory.ErrNotFound)
	}
	return before, nil
}

// rollback makes a set current and withdraws the one that was.
func (s *Store) rollback(id string) error {
	from, err := s.Current()
	if err != nil {
		return err
	}
	now := s.now().UTC()
	// First the old one: what is cut short here leaves it current, and is done again.
	if err := s.edit(from, func(r *record) { r.Withdrawn = now }); err != nil {
		return err
	}
	if err := s.edit(id, func(r *record) { r.Promoted, r.Withdrawn = now, time.Time{} }); err != nil {
		return err
	}
	return s.point(id)
}
