package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ingot/images/master"
	"ingot/inventory"
)

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

// sameName errors with inventory.ErrConflict when the bucket has the image under another
// name.
func (s *Share) sameName(ctx context.Context, d master.Digest, name string) error {
	data, _, err := s.objects.get(ctx, blobFolder(d)+imageName, maxDocumentBytes)
	if err != nil {
		return err
	}
	var image inventory.Image
	if err := json.Unmarshal(data, &image); err != nil {
		return inventory.Invalid("%s of %s in %s: %v", imageName, d, s.objects, err)
	}
	if image.Name != name {
		return inventory.Conflict("the same image is in %s as %q", s.objects, image.Name)
	}
	return nil
}
