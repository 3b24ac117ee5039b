package libvirt

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	lv "github.com/digitalocean/go-libvirt"
	"golang.org/x/sync/errgroup"

	"ingot/inventory"
)

// RemoveImage implements hypervisor.Driver. libvirt would delete it below its clones.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	stem, err := d.imageStem(digest)
	if err != nil {
		return err
	}
	release, err := d.begin(ctx, "image "+digest)
	if err != nil {
		return err
	}
	defer release()
	p, err := d.pool(ctx)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	found, err := p.images(ctx)
	if err != nil {
		return err
	}
	for _, v := range found[digest].whole {
		if err := p.removeImage(ctx, v); err != nil {
			return fmt.Errorf("image %s: %w", digest, err)
		}
	}
	// What we sent in half; another's may be on its way.
	return p.removeAll(ctx, stem+".")
}

// removeImage takes the mark away first and then looks who stands on it, as Create looks
// for the mark after it made a clone: so one of the two sees the other.
func (p pool) removeImage(ctx context.Context, v lv.StorageVol) error {
	if err := p.unused(ctx, v); err != nil {
		return err
	}
	mark := strings.TrimSuffix(v.Name, imageSuffix) + wholeSuffix
	m, err := p.volume(ctx, mark)
	if err == nil {
		err = p.remove(ctx, m)
	}
	if err != nil && !missing(err) {
		return err
	}
	if err := p.unused(ctx, v); err != nil {
		_, again := p.create(ctx, raw(mark, 0))
		return errors.Join(err, again)
	}
	return p.remove(ctx, v)
}

// guestWritten are the files of our machines that hold just what a guest wrote. libvirt
// guesses what they are from their content, where a guest could name any file as that which
// it stands on.
var guestWritten = regexp.MustCompile(`^ingot-[0-9a-f-]{36}-(console\.log|nvram|seed)`)

// unused is ErrBusy when a volume of the pool, whoever made it, stands on this one.
func (p pool) unused(ctx context.Context, v lv.StorageVol) error {
	all, err := p.volumes(ctx)
	if err != nil {
		return err
	}
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(atOnce)
	for _, other := range all {
		if guestWritten.MatchString(other.Name) {
			continue
		}
		asking.Go(func() error {
			desc, err := p.describe(ctx, other)
			switch {
			case missing(err):
				return nil
			case err == nil && backing(desc) == v.Key:
				return fmt.Errorf("volume %s stands on it: %w", other.Name, inventory.ErrBusy)
			}
			return err
		})
	}
	return asking.Wait()
}
