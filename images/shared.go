package images

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ingot/images/master"
	"ingot/inventory"
)

// sharedName is a file that says where the store's channels are shared. With it nobody
// moves them here alone.
const sharedName = "shared"

// SharedAt returns where the channels are shared, empty for nowhere.
func (s *Store) SharedAt() (string, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, sharedName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// SetSharedAt notes where the channels are shared from now on.
func (s *Store) SetSharedAt(where string) error {
	if now, err := s.SharedAt(); err != nil || now == where {
		return err
	}
	return s.locked(context.Background(), func() error { return s.writeSharedAt(where) }) // a sweep would take the file
}

func (s *Store) writeSharedAt(where string) error {
	temp := filepath.Join(s.temp(), "shared")
	if err := writeSynced(temp, []byte(where+"\n")); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(s.dir, sharedName)); err != nil {
		return err
	}
	return syncDir(s.dir)
}

func (s *Store) checkUnshared() error {
	where, err := s.SharedAt()
	if err != nil || where == "" {
		return err
	}
	return inventory.Conflict("the channels are shared in %s: move them at the server (without --data)", where)
}

// moveShared moves where all see it: what moves it there follows here.
func (s *Store) moveShared(ctx context.Context, d master.Digest, to point) (inventory.Channel, error) {
	ref := inventory.ImageRef{Name: to.Name, Channel: to.Channel.Channel}
	err := s.checkPoint(d, to.Name)
	if err == nil {
		err = s.Shared(ctx, to.Name, to.asMove())
	}
	if err != nil {
		return to.Channel, fmt.Errorf("move channel %s: %w", ref, err)
	}
	points, err := s.readChannels(to.Name)
	if err != nil {
		return to.Channel, err
	}
	for _, p := range points {
		if p.Channel.Channel == to.Channel.Channel {
			return p.Channel, nil
		}
	}
	return to.Channel, nil
}

// Follow makes channels of a name point to where they point elsewhere, and adds the moves
// that the history lacks; it forgets none. The images must be here, else it is
// inventory.ErrNotFound and nothing changes.
func (s *Store) Follow(ctx context.Context, name string, channels []inventory.ChannelMove, moves []inventory.ChannelMove) error {
	if err := inventory.CheckImageName(name); err != nil {
		return err
	}
	err := s.locked(ctx, func() error {
		for _, c := range channels {
			d, err := parse("follow channel", c.Digest)
			if err := errors.Join(err, inventory.CheckName(c.Channel)); err != nil {
				return err
			}
			if err := s.checkPoint(d, name); err != nil {
				return err
			}
		}
		return s.follow(name, channels, moves)
	})
	if err != nil {
		return fmt.Errorf("follow the channels of %s: %w", name, err)
	}
	return nil
}

func (s *Store) follow(name string, channels, moves []inventory.ChannelMove) error {
	points, err := s.readChannels(name)
	if err != nil {
		return err
	}
	if _, err := s.mendHistory(name, points); err != nil {
		return err
	}
	changed := false
	for _, c := range channels {
		to := point{inventory.Channel{Name: name, Channel: c.Channel, Digest: c.Digest, Moved: c.At}, c.Why}
		at := slices.IndexFunc(points, func(p point) bool { return p.Channel.Channel == c.Channel })
		switch {
		case at < 0:
			points = append(points, to)
		case points[at] == to:
			continue
		default:
			points[at] = to
		}
		changed = true
	}
	if changed {
		slices.SortFunc(points, func(a, b point) int { return strings.Compare(a.Channel.Channel, b.Channel.Channel) })
		if err := s.writeChannels(name, points); err != nil {
			return err
		}
	}
	return s.mergeHistory(name, moves)
}

// mergeHistory writes the history with the moves that it lacks, in the order of time.
func (s *Store) mergeHistory(name string, moves []inventory.ChannelMove) error {
	have, _, err := s.readHistory(name)
	if err != nil {
		return err
	}
	before := len(have)
	for _, m := range moves {
		if !slices.ContainsFunc(have, func(h inventory.ChannelMove) bool { return sameMove(h, m) }) {
			have = append(have, m)
		}
	}
	if len(have) == before {
		return nil
	}
	slices.SortStableFunc(have, func(a, b inventory.ChannelMove) int { return a.At.Compare(b.At) })
	var text bytes.Buffer
	encode := json.NewEncoder(&text)
	for _, m := range have {
		if err := encode.Encode(m); err != nil {
			return err
		}
	}
	temp := filepath.Join(s.temp(), "history-"+name+".jsonl")
	if err := writeSynced(temp, text.Bytes()); err != nil {
		return err
	}
	if err := os.Rename(temp, s.historyPath(name)); err != nil {
		return err
	}
	return syncDir(s.channels())
}

func sameMove(a, b inventory.ChannelMove) bool {
	return a.Channel == b.Channel && a.Digest == b.Digest && a.At.Equal(b.At)
}
