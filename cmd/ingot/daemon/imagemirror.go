package daemon

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"ingot/inventory"
)

// rescanEvery is how soon the server sees images that another process stored.
const rescanEvery = 5 * time.Second

// rescan mirrors the store on disk now and then, until ctx ends.
func (w *imageWork) rescan(ctx context.Context, failed func(error)) error {
	tick := time.NewTicker(rescanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := w.mirror(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// mirror makes the inventory list what the store on disk has, and other servers soon.
func (w *imageWork) mirror(ctx context.Context) error {
	changed, err := w.reflect(ctx)
	if changed && w.share != nil {
		w.share.Wake()
	}
	return err
}

// reflect makes the inventory list what the store on disk has, and tells whether that is
// new.
func (w *imageWork) reflect(ctx context.Context) (changed bool, err error) {
	if w.store == nil {
		return false, nil
	}
	list, err := w.images.List(ctx)
	if err != nil {
		return false, fmt.Errorf("list images: %w", err)
	}
	points, err := w.images.Channels(ctx)
	if err != nil {
		return false, fmt.Errorf("list channels: %w", err)
	}
	if same, err := w.mirrored(ctx, list, points); same || err != nil {
		return false, err
	}
	return true, w.store.Update(ctx, func(x inventory.Tx) error {
		have, err := x.Images(ctx)
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for _, image := range have {
			known[image.Digest] = true
		}
		for _, image := range list {
			err = errors.Join(err, x.PutImage(ctx, image))
			if !known[image.Digest] {
				err = errors.Join(err, w.add(ctx, x, inventory.ImageAdded{Name: image.Name, Digest: image.Digest}))
			}
			delete(known, image.Digest)
		}
		for digest := range known {
			err = errors.Join(err, x.DeleteImage(ctx, digest))
		}
		for _, c := range points {
			err = errors.Join(err, x.PutChannel(ctx, c))
		}
		return err
	})
}

// mirrored reports whether the inventory has exactly this already.
func (w *imageWork) mirrored(ctx context.Context, list []inventory.Image, points []inventory.Channel) (same bool, err error) {
	err = w.store.View(ctx, func(x inventory.Tx) error {
		have, err := x.Images(ctx)
		if err != nil {
			return err
		}
		channels, err := x.Channels(ctx)
		images := map[string]inventory.Image{}
		for _, image := range have {
			images[image.Digest] = image
		}
		at := map[string]string{}
		for _, c := range channels {
			at[c.Name+":"+c.Channel] = c.Digest
		}
		same = len(have) == len(list)
		for _, image := range list {
			same = same && reflect.DeepEqual(images[image.Digest], image)
		}
		for _, c := range points {
			same = same && at[c.Name+":"+c.Channel] == c.Digest
		}
		return err
	})
	return same, err
}

// tell writes down what happened to an image.
func (w *imageWork) tell(ctx context.Context, p inventory.Payload) error {
	if w.store == nil {
		return nil
	}
	return w.store.Update(ctx, func(x inventory.Tx) error { return w.add(ctx, x, p) })
}

func (w *imageWork) add(ctx context.Context, x inventory.Tx, p inventory.Payload) error {
	e, err := inventory.NewEvent(nil, w.now(), p)
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}
