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

	"ingot/images/master"
	"ingot/inventory"
)

func (p point) asMove() inventory.ChannelMove {
	return inventory.ChannelMove{Channel: p.Channel.Channel, Digest: p.Digest, At: p.Moved, Why: p.Why}
}

// History returns every move of a name's channels, oldest first.
func (s *Store) History(ctx context.Context, name string) ([]inventory.ChannelMove, error) {
	if err := errors.Join(ctx.Err(), inventory.CheckImageName(name)); err != nil {
		return nil, err
	}
	// In this order: a move in between is then in the history, or in neither.
	points, err := s.readChannels(name)
	if err != nil {
		return nil, err
	}
	moves, _, err := s.readHistory(name)
	if err != nil {
		return nil, err
	}
	return append(moves, unwritten(moves, points)...), nil
}

// Previous returns the digest that a channel can be rolled back to: the newest one it
// pointed to before that differs from the present one and is still there. Else it is
// inventory.ErrNotFound that says what is missing.
func (s *Store) Previous(ctx context.Context, name, channel string) (string, error) {
	present, err := s.channelDigest(inventory.ImageRef{Name: name, Channel: channel})
	if err != nil {
		return "", err
	}
	moves, err := s.History(ctx, name)
	if err != nil {
		return "", err
	}
	gone := 0
	for _, m := range slices.Backward(moves) {
		if m.Channel != channel || m.Digest == present {
			continue
		}
		if s.has(m.Digest) {
			return m.Digest, nil
		}
		gone++
	}
	if gone > 0 {
		return "", fmt.Errorf("roll back %s:%s: none of the images that it pointed to before is there any more (%d moves): %w", name, channel, gone, inventory.ErrNotFound)
	}
	return "", fmt.Errorf("roll back %s:%s: it never pointed to another image than %s: %w", name, channel, present, inventory.ErrNotFound)
}

// has reports whether an image is there.
func (s *Store) has(digest string) bool {
	d, err := master.ParseDigest(digest)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(s.blob(d), imageName))
	return err == nil
}

// unwritten are the last moves that a history lacks: of a machine that stopped after the
// channel was written, or of a store that kept none.
func unwritten(moves []inventory.ChannelMove, points []point) []inventory.ChannelMove {
	var lacks []inventory.ChannelMove
	for _, p := range points {
		last := inventory.ChannelMove{}
		for _, m := range moves {
			if m.Channel == p.Channel.Channel {
				last = m
			}
		}
		if last.Digest != p.Digest {
			lacks = append(lacks, p.asMove())
		}
	}
	return lacks
}

func (s *Store) historyPath(name string) string {
	return filepath.Join(s.channels(), name+".history.jsonl")
}

// readHistory returns the moves and how many bytes of the file they take. A last line
// that was cut by a power failure is left out.
func (s *Store) readHistory(name string) (moves []inventory.ChannelMove, sizeBytes int64, err error) {
	text, err := os.ReadFile(s.historyPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read channel history: %w", err)
	}
	moves, sizeBytes, err = parseHistory(text)
	if err != nil {
		return nil, 0, fmt.Errorf("read channel history %s: %w", s.historyPath(name), err)
	}
	return moves, sizeBytes, nil
}

func parseHistory(text []byte) (moves []inventory.ChannelMove, sizeBytes int64, err error) {
	for number := 1; len(text) > 0; number++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		var m inventory.ChannelMove
		err := json.Unmarshal(line, &m)
		if len(rest) == 0 && (err != nil || !whole) {
			return moves, sizeBytes, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", number, err)
		}
		moves = append(moves, m)
		sizeBytes += int64(len(line)) + 1
		text = rest
	}
	return moves, sizeBytes, nil
}

// mendHistory cuts off a torn line, adds the moves that are lacking, and returns the
// file's size. Called under the lock.
func (s *Store) mendHistory(name string, points []point) (int64, error) {
	moves, sizeBytes, err := s.readHistory(name)
	if err != nil {
		return 0, err
	}
	for _, m := range unwritten(moves, points) {
		if err := s.appendHistory(name, sizeBytes, m); err != nil {
			return 0, err
		}
		if _, sizeBytes, err = s.readHistory(name); err != nil {
			return 0, err
		}
	}
	return sizeBytes, nil
}

// appendHistory writes a move behind the first sizeBytes of the file.
func (s *Store) appendHistory(name string, sizeBytes int64, m inventory.ChannelMove) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.historyPath(name), os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	err = f.Truncate(sizeBytes)
	if err == nil {
		_, err = f.WriteAt(append(line, '\n'), sizeBytes)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write channel history: %w", err)
	}
	return syncDir(s.channels())
}
