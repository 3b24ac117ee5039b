package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

// channels is the document of a name: where its channels point, and how they came there.
type channels struct {
	Channels []pointer               `json:"channels"`
	Moves    []inventory.ChannelMove `json:"moves"`

	etag string
}

// pointer is a channel. By is the server that moved it, for people.
type pointer struct {
	inventory.ChannelMove
	By string `json:"by,omitempty"`
}

func (c channels) at(channel string) (pointer, bool) {
	i := slices.IndexFunc(c.Channels, func(p pointer) bool { return p.Channel == channel })
	if i < 0 {
		return pointer{}, false
	}
	return c.Channels[i], true
}

// moved is the document after a move, with moves that came before it and are not known yet.
func (c channels) moved(to pointer, past []inventory.ChannelMove) channels {
	points := slices.DeleteFunc(slices.Clone(c.Channels), func(p pointer) bool { return p.Channel == to.Channel })
	points = append(points, to)
	slices.SortFunc(points, func(a, b pointer) int { return strings.Compare(a.Channel, b.Channel) })
	return channels{points, slices.Concat(c.Moves, past, []inventory.ChannelMove{to.ChannelMove}), c.etag}
}

func channelsKey(name string) string { return channelsFolder + name + ".json" }

// readChannels reads a name's channels; of a name without any it is empty.
func (s *Share) readChannels(ctx context.Context, name string) (channels, error) {
	data, etag, err := s.objects.get(ctx, channelsKey(name), maxDocumentBytes)
	if errors.Is(err, inventory.ErrNotFound) {
		return channels{}, nil
	}
	c := channels{etag: etag}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, inventory.Invalid("%s in %s: %v", channelsKey(name), s.objects, err)
	}
	for _, p := range c.Channels {
		if _, err := master.ParseDigest(p.Digest); err != nil || inventory.CheckName(p.Channel) != nil {
			return c, inventory.Invalid("%s in %s: channel %q points to %q", channelsKey(name), s.objects, p.Channel, p.Digest)
		}
	}
	return c, nil
}

// Move moves a channel in the bucket and then in the store: it is images.Store's Shared.
// The image is put there first, where it lacks. It is inventory.ErrConflict when another
// server moved the channel since this one last looked, and [ErrUnreachable] when the
// bucket can't be reached; the channel stays where it is then.
func (s *Share) Move(ctx context.Context, name string, to inventory.ChannelMove) error {
	return s.move(ctx, name, to, nil)
}

func (s *Share) move(ctx context.Context, name string, to inventory.ChannelMove, past []inventory.ChannelMove) error {
	if err := s.ensureChecked(ctx); err != nil {
		return err
	}
	d, err := master.ParseDigest(to.Digest)
	if err != nil {
		return inventory.Invalid("digest %q: %v", to.Digest, err)
	}
	was, err := s.lastSeen(ctx, name, to.Channel)
	if err != nil {
		return err
	}
	release, err := s.claim(ctx, held{name, to.Digest, fmt.Sprintf("channel %s:%s moves to it", name, to.Channel)})
	defer release()
	if err != nil {
		return err
	}
	if err := s.bring(ctx, name, d); err != nil {
		return err
	}
	return s.swing(ctx, name, was, pointer{to, s.Name}, past)
}

// bring makes sure that an image of the store is whole in the bucket and stays.
func (s *Share) bring(ctx context.Context, name string, d master.Digest) error {
	if err := s.free(ctx); err != nil {
		return err
	}
	there, err := s.listImage(ctx, d)
	if err != nil {
		return err
	}
	if err := s.push(ctx, inventory.Image{Name: name, Digest: d.String()}, d, there); err != nil {
		return err
	}
	return s.sameName(ctx, d, name)
}

// lastSeen is where this server thinks that a channel points, empty for nowhere: in the
// bucket at the last look, or before the first one here.
func (s *Share) lastSeen(ctx context.Context, name, channel string) (string, error) {
	s.mu.Lock()
	seen, ok := s.seen[name]
	s.mu.Unlock()
	if ok {
		p, _ := seen.at(channel)
		return p.Digest, nil
	}
	all, err := s.Store.Channels(ctx)
	for _, c := range all {
		if c.Name == name && c.Channel == channel {
			return c.Digest, err
		}
	}
	return "", err
}

// swings bounds how often a move is tried while other channels of the name move.
const swings = 32

// swing moves the channel from was.
func (s *Share) swing(ctx context.Context, name, was string, to pointer, past []inventory.ChannelMove) error {
	for range swings {
		now, err := s.readChannels(ctx, name)
		if err != nil {
			return err
		}
		at, _ := now.at(to.Channel)
		switch at.Digest {
		case to.Digest: // there already, or a try that got no answer did it
			return s.settle(ctx, name, now, at.ChannelMove)
		case was:
		default:
			return s.overtaken(name, at)
		}
		next := now.moved(to, past)
		document, err := json.MarshalIndent(next, "", " ")
		if err != nil {
			return err
		}
		err = s.objects.swap(ctx, channelsKey(name), now.etag, document)
		if err == nil {
			next.etag = ""
			return s.settle(ctx, name, next, to.ChannelMove)
		}
		if !errors.Is(err, errChanged) {
			return err
		}
	}
	return inventory.Conflict("other servers move the channels of %s all the time: try again", name)
}

// settle notes what the bucket has and makes the store follow to it.
func (s *Share) settle(ctx context.Context, name string, now channels, to inventory.ChannelMove) error {
	s.mu.Lock()
	s.seen[name] = now
	s.mu.Unlock()
	return s.Store.Follow(ctx, name, []inventory.ChannelMove{to}, now.Moves)
}

func (s *Share) overtaken(name string, at pointer) error {
	if at.Digest == "" {
		return inventory.Conflict("channel %s is not in %s any more: look again (ingot image refresh)", name, s.objects)
	}
	return inventory.Conflict("server %s moved %s:%s to %s at %s: look at it (ingot image refresh), and move it then if it is still wanted",
		at.By, name, at.Channel, at.Digest, at.At.Format(time.RFC3339))
}

// names lists the names that have channels, with the ETags of their documents.
func (s *Share) names(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for o, err := range s.objects.list(ctx, channelsFolder) {
		if err != nil {
			return nil, err
		}
		name, ok := strings.CutSuffix(path.Base(o.key), ".json")
		if ok && inventory.CheckImageName(name) == nil {
			all[name] = o.etag
		}
	}
	return all, nil
}

// seed puts the channels there that only this store has: of a store that is shared from
// now on.
func (s *Share) seed(ctx context.Context) error {
	all, err := s.Store.Channels(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		s.mu.Lock()
		_, there := s.seen[c.Name].at(c.Channel)
		s.mu.Unlock()
		if !there {
			errs = append(errs, s.seedOne(ctx, c))
		}
	}
	return errors.Join(errs...)
}

func (s *Share) seedOne(ctx context.Context, c inventory.Channel) error {
	to := inventory.ChannelMove{Channel: c.Channel, Digest: c.Digest, At: c.Moved, Why: "shared by " + s.Name}
	moves, err := s.Store.History(ctx, c.Name)
	if err != nil {
		return err
	}
	moves = slices.DeleteFunc(moves, func(m inventory.ChannelMove) bool { return m.Channel != c.Channel })
	if last := len(moves) - 1; last >= 0 && moves[last].Digest == c.Digest {
		to, moves = moves[last], moves[:last]
	}
	s.mu.Lock()
	if _, ok := s.seen[c.Name]; !ok {
		s.seen[c.Name] = channels{} // the last look saw that the bucket has none
	}
	s.mu.Unlock()
	err = s.move(ctx, c.Name, to, moves)
	if errors.Is(err, inventory.ErrConflict) {
		return nil // another server was faster; the next look follows to it
	}
	return err
}
