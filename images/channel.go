package images

import (
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

// point is a channel as its file has it: with the reason of its last move, which the
// history may not have yet (see [Store.MoveChannel]).
type point struct {
	inventory.Channel
	Why string `json:"why,omitempty"`
}

// Channels returns all channels, by name and channel.
func (s *Store) Channels(ctx context.Context) ([]inventory.Channel, error) {
	entries, err := os.ReadDir(s.channels())
	if err != nil {
		return nil, fmt.Errorf("list channels: %w", err)
	}
	list := []inventory.Channel{}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		points, err := s.readChannels(name)
		if err != nil {
			return nil, err
		}
		for _, p := range points {
			list = append(list, p.Channel)
		}
	}
	return list, nil
}

// readChannels returns the channels of a name, none when it has no file.
func (s *Store) readChannels(name string) ([]point, error) {
	path := filepath.Join(s.channels(), name+".json")
	document, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read channels: %w", err)
	}
	var points []point
	if err := json.Unmarshal(document, &points); err != nil {
		return nil, fmt.Errorf("read channels %s: %w", path, err)
	}
	return points, nil
}

func (s *Store) channelDigest(ref inventory.ImageRef) (string, error) {
	points, err := s.readChannels(ref.Name)
	if err != nil {
		return "", err
	}
	for _, p := range points {
		if p.Channel.Channel == ref.Channel {
			return p.Digest, nil
		}
	}
	return "", inventory.NotFound("image", ref.String())
}

// MoveChannel points NAME:CHANNEL to a stored image of that name, and writes down why.
// Moving it to where it points changes nothing. Channels that are shared elsewhere move
// there first ([Store.Shared]); without a way to there it is inventory.ErrConflict.
func (s *Store) MoveChannel(ctx context.Context, name, channel, digest, why string) (inventory.Channel, error) {
	ref := inventory.ImageRef{Name: name, Channel: channel}
	if err := errors.Join(inventory.CheckImageName(name), inventory.CheckName(channel)); err != nil {
		return inventory.Channel{}, err
	}
	d, err := parse("move channel "+ref.String(), digest)
	if err != nil {
		return inventory.Channel{}, err
	}
	to := point{inventory.Channel{Name: name, Channel: channel, Digest: digest, Moved: s.now().UTC()}, why}
	if s.Shared != nil {
		return s.moveShared(ctx, d, to)
	}
	var moved inventory.Channel
	err = s.locked(ctx, func() error {
		if err := errors.Join(s.checkPoint(d, name), s.checkUnshared()); err != nil {
			return err
		}
		moved, err = s.move(to)
		return err
	})
	if err != nil {
		return moved, fmt.Errorf("move channel %s: %w", ref, err)
	}
	return moved, nil
}

// checkPoint errors with inventory.ErrNotFound unless an image of the name is there.
func (s *Store) checkPoint(d master.Digest, name string) error {
	image, err := readImage(s.blob(d))
	if errors.Is(err, fs.ErrNotExist) || err == nil && image.Name != name {
		return inventory.NotFound("image", name+"@"+d.String())
	}
	return err
}

// move writes the channel first: it is the truth. When the machine stops before the
// history has it, the next move or reader adds it.
func (s *Store) move(to point) (inventory.Channel, error) {
	points, err := s.readChannels(to.Name)
	if err != nil {
		return to.Channel, err
	}
	history, err := s.mendHistory(to.Name, points)
	if err != nil {
		return to.Channel, err
	}
	at := slices.IndexFunc(points, func(p point) bool { return p.Channel.Channel == to.Channel.Channel })
	switch {
	case at < 0:
		points = append(points, to)
	case points[at].Digest == to.Digest:
		return points[at].Channel, nil
	default:
		points[at] = to
	}
	slices.SortFunc(points, func(a, b point) int { return strings.Compare(a.Channel.Channel, b.Channel.Channel) })
	if err := s.writeChannels(to.Name, points); err != nil {
		return to.Channel, err
	}
	return to.Channel, s.appendHistory(to.Name, history, to.asMove())
}

func (s *Store) writeChannels(name string, points []point) error {
	document, err := json.MarshalIndent(points, "", " ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.channels(), name+".json")
	temp := filepath.Join(s.temp(), "channel-"+name+".json")
	if err := writeSynced(temp, document); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(s.channels())
}
