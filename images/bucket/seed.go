package bucket

import (
	"context"
	"errors"
	"slices"

	"ingot/inventory"
)

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
