package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"ingot/images"
	"ingot/images/bucket"
	"ingot/inventory"
	"ingot/inventory/api"
)

// checkTime bounds the check of the bucket at the start: one that can't be reached does
// not keep the server from booting machines.
const checkTime = 20 * time.Second

// openShare begins to share the images, where a bucket is configured. A bucket that gives
// no answer is tried again later; one that is not as it must be ends the start.
func (d *Daemon) openShare(ctx context.Context) error {
	w, cfg := d.images, d.cfg.Images.Bucket
	if cfg.Endpoint == "" {
		return w.notShared(d.path("images"))
	}
	share, err := bucket.Open(cfg.options())
	var wrong *bucket.BadOption
	if errors.As(err, &wrong) {
		return bad("images.bucket."+wrong.Option, "%s", wrong.Problem)
	}
	if err != nil {
		return err
	}
	if share.Server, err = serverID(d.path("server.id")); err != nil {
		return err
	}
	if share.Name = cfg.ServerName; share.Name == "" {
		if share.Name, err = os.Hostname(); err != nil {
			return fmt.Errorf("name this server: %w", err)
		}
	}
	w.join(share)
	share.Interval, share.Forget, share.Now, share.Log = cfg.Interval, cfg.ForgetAfter, d.now, d.log.With("component", "bucket")
	if err := w.publish.Store.SetSharedAt(cfg.options().Where()); err != nil {
		return fmt.Errorf("note where the images are shared: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	err = share.Check(ctx)
	if errors.Is(err, bucket.ErrUnreachable) {
		d.log.Warn("images are not shared until the bucket can be reached", "err", err)
		return nil
	}
	return err
}

// join makes the share work with the store that the publisher has.
func (w *imageWork) join(share *bucket.Share) {
	w.share = share
	share.Store = w.publish.Store
	share.Retention = images.Retention{KeepPerChannel: w.cfg.Keep, Grace: w.cfg.Grace}
	share.Decide = func(ctx context.Context) ([]images.Decision, error) {
		uses, err := w.uses(ctx)
		if err != nil {
			return nil, err
		}
		return w.publish.Store.Decide(ctx, uses, share.Retention)
	}
	if len(w.publish.Keys) > 0 {
		share.Trust = w.publish.Keys.Trust
	}
	share.Changed = func(ctx context.Context) error {
		_, err := w.reflect(ctx)
		return err
	}
	share.Followed = func(ctx context.Context, name string, to inventory.ChannelMove) {
		_, err := w.reflect(ctx)
		err = errors.Join(err, w.tell(ctx, inventory.ChannelMoved{Name: name, Channel: to.Channel, Digest: to.Digest, Why: to.Why}))
		if err != nil {
			w.log.Error("write down that a channel moved", "channel", name+":"+to.Channel, "err", err)
		}
	}
	w.publish.Store.Shared = share.Move
}

// notShared refuses a store whose channels are shared elsewhere: they would part ways.
func (w *imageWork) notShared(dir string) error {
	where, err := w.publish.Store.SharedAt()
	if err != nil || where == "" {
		return err
	}
	return inventory.Conflict("the channels in %s are shared in %s, and images.bucket.endpoint is not set: set it, or remove %s/shared to leave the bucket for good", dir, where, dir)
}

// serverID is this data directory's name among servers; it is made once.
func serverID(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text = []byte("srv-" + rand.Text()[:16])
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("name this server: %w", err)
	}
	id := strings.TrimSpace(string(text))
	if inventory.CheckName(strings.ToLower(id)) != nil {
		return "", inventory.Invalid("%s has %q (want one name: remove the file, and the server makes one)", path, id)
	}
	return id, nil
}

// Refresh implements rest.Images.
func (w *imageWork) Refresh(ctx context.Context, in api.ImageRefresh, progress func(api.WorkLine)) ([]api.ImageShared, error) {
	if w.share == nil {
		return nil, inventory.Conflict("the images are not shared: set images.bucket.endpoint")
	}
	if in.Image == "" {
		progress(api.WorkLine{Step: "look at the bucket"})
		if err := w.share.Look(ctx); err != nil {
			return nil, err
		}
	} else if err := w.fetch(ctx, in.Image, progress); err != nil {
		return nil, err
	}
	list, err := w.share.List(ctx)
	rows := []api.ImageShared{}
	for _, l := range list {
		rows = append(rows, api.ImageShared{Image: l.Image, Channels: l.Channels, Here: l.Here})
	}
	return rows, err
}

// fetch brings what a reference means in the bucket.
func (w *imageWork) fetch(ctx context.Context, text string, progress func(api.WorkLine)) error {
	ref, err := inventory.ParseImageRef(text)
	if err != nil {
		return err
	}
	list, err := w.share.List(ctx)
	if err != nil {
		return err
	}
	var found []string
	for _, l := range list {
		if l.Image.Name == ref.Name && (ref.Digest != "" && strings.HasPrefix(l.Image.Digest, ref.Digest) || slices.Contains(l.Channels, ref.Channel)) {
			found = append(found, l.Image.Digest)
		}
	}
	switch len(found) {
	case 0:
		return inventory.NotFound("image in the bucket", text)
	case 1:
		if _, err := w.share.Fetch(ctx, found[0], func(done, total int64) {
			progress(api.WorkLine{Step: "fetch", Bytes: done, Total: total})
		}); err != nil {
			return err
		}
		return w.mirror(ctx)
	}
	return inventory.Invalid("image %q: the digits fit %d images: give more of them", text, len(found))
}

// fetchPrevious brings what a channel pointed to before, where only the bucket has it
// still.
func (w *imageWork) fetchPrevious(ctx context.Context, name, channel string) error {
	_, err := w.publish.Store.Previous(ctx, name, channel)
	if w.share == nil || !errors.Is(err, inventory.ErrNotFound) {
		return nil // the rollback says what is wrong
	}
	now, err := w.publish.Store.Get(ctx, name+":"+channel)
	if err != nil {
		return nil
	}
	moves, err := w.publish.Store.History(ctx, name)
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(moves) {
		if m.Channel != channel || m.Digest == now.Digest {
			continue
		}
		if _, err := w.share.Fetch(ctx, m.Digest, nil); !errors.Is(err, inventory.ErrNotFound) {
			return err
		}
	}
	return nil
}
