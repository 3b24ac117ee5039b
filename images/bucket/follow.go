package bucket

import (
	"context"
	"errors"
	"fmt"

	"ingot/inventory"
)

// follow brings what the channels in the bucket point to, and makes the store's channels
// follow. A channel whose image can't be had, or is not trusted, stays where it is.
func (s *Share) follow(ctx context.Context) error {
	names, err := s.names(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for name, etag := range names {
		err := s.followName(ctx, name, etag)
		errs = append(errs, err)
		if errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *Share) followName(ctx context.Context, name, etag string) error {
	s.mu.Lock()
	now, ok := s.seen[name]
	s.mu.Unlock()
	if !ok || now.etag != etag {
		var err error
		if now, err = s.readChannels(ctx, name); err != nil {
			return err
		}
		s.mu.Lock()
		s.seen[name] = now
		s.mu.Unlock()
	}
	here, err := s.localChannels(ctx, name)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range now.Channels {
		if here[p.Channel] == p.Digest {
			continue
		}
		err := s.followOne(ctx, name, p, now.Moves)
		if err != nil {
			err = fmt.Errorf("channel %s:%s stays at %s, server %s moved it to %s: %w", name, p.Channel, orNowhere(here[p.Channel]), p.By, p.Digest, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func orNowhere(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return digest
}

func (s *Share) localChannels(ctx context.Context, name string) (map[string]string, error) {
	all, err := s.Store.Channels(ctx)
	here := map[string]string{}
	for _, c := range all {
		if c.Name == name {
			here[c.Channel] = c.Digest
		}
	}
	return here, err
}

func (s *Share) followOne(ctx context.Context, name string, p pointer, moves []inventory.ChannelMove) error {
	image, err := s.Fetch(ctx, p.Digest, nil)
	if err != nil {
		return err
	}
	if image.Name != name {
		return inventory.Invalid("that image is named %q", image.Name)
	}
	if err := s.trusted(p.Digest); err != nil {
		return err
	}
	if err := s.Store.Follow(ctx, name, []inventory.ChannelMove{p.ChannelMove}, moves); err != nil {
		return err
	}
	s.Log.Info("channel followed", "channel", name+":"+p.Channel, "image", p.Digest, "server", p.By)
	if s.Followed != nil {
		s.Followed(ctx, name, p.ChannelMove)
	}
	return nil
}

func (s *Share) trusted(digest string) error {
	if s.Trust == nil {
		return nil
	}
	m, err := s.Store.Open(digest)
	if err != nil {
		return err
	}
	signatures, err := s.Store.Signatures(digest)
	if err == nil {
		err = s.Trust(m.Document, signatures)
	}
	return errors.Join(err, m.Close())
}
