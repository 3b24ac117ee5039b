package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"ingot/images/master"
	"ingot/inventory"
)

// Collect removes the images that a plan gave up, and every chunk that no image and no
// running import has. An image that a channel points to by now stays. Damaged indexes of
// packs are made anew before: see [Store.Mended]. It returns how many bytes went.
func (s *Store) Collect(ctx context.Context, plan []Decision) (freed int64, err error) {
	err = s.locked(ctx, func() error {
		if err := s.mendIndexes(); err != nil {
			return err
		}
		for _, decision := range plan {
			n, err := s.collectImage(ctx, decision)
			if err != nil {
				return fmt.Errorf("remove image %s: %w", decision.Image.Digest, err)
			}
			freed += n
		}
		n, err := s.emptyTrash(ctx)
		if freed += n; err != nil {
			return fmt.Errorf("remove chunks: %w", err)
		}
		n, err = s.collectOrphans(ctx)
		if freed += n; err != nil {
			return fmt.Errorf("remove chunks: %w", err)
		}
		return nil
	})
	return freed, err
}

func (s *Store) collectImage(ctx context.Context, decision Decision) (freed int64, err error) {
	d, err := master.ParseDigest(decision.Image.Digest)
	if err != nil || decision.Keep {
		return 0, err
	}
	channels, err := s.Channels(ctx)
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(channels, func(c inventory.Channel) bool { return c.Digest == d.String() }) {
		return 0, nil
	}
	for format := range convertOptions {
		size, err := folderBytes(ctx, s.derived(d.String(), format))
		if err != nil {
			return 0, err
		}
		freed += size
	}
	if err := s.discardImage(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	return freed, nil
}

// collectOrphans removes frames that no image has: of imports that were cut short after
// their pack was kept.
func (s *Store) collectOrphans(ctx context.Context) (freed int64, err error) {
	freed, _, err = s.removeFrames(ctx, func() (frames, error) { return s.usedFrames(ctx, nil) })
	return freed, err
}
