package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"ingot/inventory"
)

// Times of bringing images ahead: how often is looked, and how long a host that failed is
// left alone.
const (
	prefetchEvery = 30 * time.Second
	prefetchAgain = 5 * time.Minute
)

// wish is an image that a host asks for ahead of its first VM.
type wish struct{ host, digest string }

// prefetch brings images ahead until ctx ends.
func (f *Fleet) prefetch(ctx context.Context) {
	tick := time.NewTicker(prefetchEvery)
	defer tick.Stop()
	done := map[wish]time.Time{}
	for {
		if err := f.prefetchOnce(ctx, done); err != nil && ctx.Err() == nil {
			f.log.Warn("bring images ahead", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// prefetchOnce brings what is asked for and not done; done holds what is there (the zero
// time), and when what failed may be tried again.
func (f *Fleet) prefetchOnce(ctx context.Context, done map[wish]time.Time) error {
	wishes, err := f.wishes(ctx)
	if err != nil {
		return err
	}
	for w := range done { // an image that is asked for again is looked at again
		if _, asked := wishes[w]; !asked {
			delete(done, w)
		}
	}
	var errs []error
	for w, image := range wishes {
		again, known := done[w]
		if known && (again.IsZero() || f.cfg.Now().Before(again)) {
			continue
		}
		if err := f.bring(ctx, w.host, image); err != nil {
			done[w] = f.cfg.Now().Add(prefetchAgain)
			errs = append(errs, err)
			continue
		}
		done[w] = time.Time{}
	}
	return errors.Join(errs...)
}

// wishes are the versions that the hosts' references mean now. A reference that means
// nothing yet is no wish.
func (f *Fleet) wishes(ctx context.Context) (map[wish]inventory.Image, error) {
	out := map[wish]inventory.Image{}
	err := f.cfg.Store.View(ctx, func(x inventory.Tx) error {
		hosts, err := x.Hosts(ctx)
		if err != nil {
			return err
		}
		images, err := x.Images(ctx)
		if err != nil {
			return err
		}
		channels, err := x.Channels(ctx)
		for _, h := range hosts {
			for _, text := range h.Prefetch {
				if i, ok := meant(text, images, channels); ok {
					out[wish{h.Name, i.Digest}] = i
				}
			}
		}
		return err
	})
	return out, err
}

func meant(text string, images []inventory.Image, channels []inventory.Channel) (inventory.Image, bool) {
	ref, err := inventory.ParseImageRef(text)
	if err != nil {
		return inventory.Image{}, false
	}
	for _, c := range channels {
		if ref.Digest == "" && c.Name == ref.Name && c.Channel == ref.Channel {
			ref.Digest = c.Digest
		}
	}
	at := slices.IndexFunc(images, func(i inventory.Image) bool { return i.Name == ref.Name && i.Digest == ref.Digest })
	if at < 0 {
		return inventory.Image{}, false
	}
	return images[at], true
}

// bring makes sure that a host has an image.
func (f *Fleet) bring(ctx context.Context, host string, image inventory.Image) error {
	golden, err := f.cfg.Image(ctx, image)
	if err != nil {
		return err
	}
	c, err := f.connect(ctx, host)
	if err != nil {
		return err
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	began := f.cfg.Now()
	if err := c.driver.EnsureImage(ctx, golden, nil); err != nil {
		return fmt.Errorf("bring image %s ahead to host %s: %w", image.Name, host, err)
	}
	f.log.Info("image is at the host ahead of its VMs", "host", host, "image", image.Name, "digest", image.Digest, "took", f.cfg.Now().Sub(began).Round(time.Millisecond))
	return nil
}

// RemoveImage takes an image away from all hosts that have it. One that linked clones
// stand on stays, and a host that can't be asked keeps it: the error says which.
func (f *Fleet) RemoveImage(ctx context.Context, digest string) error {
	var hosts []inventory.Host
	if err := f.cfg.Store.View(ctx, func(x inventory.Tx) (err error) {
		hosts, err = x.Hosts(ctx)
		return err
	}); err != nil {
		return err
	}
	var errs []error
	for _, h := range hosts {
		if err := f.removeImage(ctx, h.Name, digest); err != nil && !errors.Is(err, inventory.ErrNotFound) {
			errs = append(errs, fmt.Errorf("remove image %s from host %s: %w", digest, h.Name, err))
		}
	}
	return errors.Join(errs...)
}

// removeTime bounds asking one host, which may be away.
const removeTime = time.Minute

func (f *Fleet) removeImage(ctx context.Context, host, digest string) error {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	c, err := f.connect(ctx, host)
	if err != nil {
		return err
	}
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return c.driver.RemoveImage(ctx, digest)
}
