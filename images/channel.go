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
		channels, err := s.readChannels(name)
		if err != nil {
			return nil, err
		}
		list = append(list, channels...)
	}
	return list, nil
}

// readChannels returns the channels of a name, none when it has no file.
func (s *Store) readChannels(name string) ([]inventory.Channel, error) {
	path := filepath.Join(s.channels(), name+".json")
	document, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read channels: %w", err)
	}
	var channels []inventory.Channel
	if err := json.Unmarshal(document, &channels); err != nil {
		return nil, fmt.Errorf("read channels %s: %w", path, err)
	}
	return channels, nil
}

func (s *Store) channelDigest(ref inventory.ImageRef) (string, error) {
	channels, err := s.readChannels(ref.Name)
	if err != nil {
		return "", err
	}
	for _, c := range channels {
		if c.Channel == ref.Channel {
			return c.Digest, nil
		}
	}
	return "", inventory.NotFound("image", ref.String())
}

// MoveChannel points NAME:CHANNEL to a stored image of that name. Moving it to
// where it points changes nothing.
func (s *Store) MoveChannel(ctx context.Context, name, channel, digest string) (inventory.Channel, error) {
	ref := inventory.ImageRef{Name: name, Channel: channel}
	if err := errors.Join(inventory.CheckImageName(name), inventory.CheckName(channel)); err != nil {
		return inventory.Channel{}, err
	}
	d, err := master.ParseDigest(digest)
	if err != nil {
		return inventory.Channel{}, fmt.Errorf("move channel %s: %w: %w", ref, err, inventory.ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	image, err := readImage(s.blob(d))
	if errors.Is(err, fs.ErrNotExist) || err == nil && image.Name != name {
		return inventory.Channel{}, inventory.NotFound("image", name+"@"+digest)
	}
	if err != nil {
		return inventory.Channel{}, err
	}
	channels, err := s.readChannels(name)
	if err != nil {
		return inventory.Channel{}, err
	}
	moved := inventory.Channel{Name: name, Channel: channel, Digest: digest, Moved: s.now().UTC()}
	at := slices.IndexFunc(channels, func(c inventory.Channel) bool { return c.Channel == channel })
	switch {
	case at < 0:
		channels = append(channels, moved)
	case channels[at].Digest == digest:
		return channels[at], nil
	default:
		channels[at] = moved
	}
	slices.SortFunc(channels, func(a, b inventory.Channel) int { return strings.Compare(a.Channel, b.Channel) })
	if err := s.writeChannels(name, channels); err != nil {
		return inventory.Channel{}, fmt.Errorf("move channel %s: %w", ref, err)
	}
	return moved, ctx.Err()
}

func (s *Store) writeChannels(name string, channels []inventory.Channel) error {
	document, err := json.MarshalIndent(channels, "", " ")
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
