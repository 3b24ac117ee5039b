package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"ingot/images"
	"ingot/images/build"
	"ingot/images/master"
	"ingot/inventory"
	"ingot/inventory/api"
)

// imageWork implements rest.Images: the store on disk is the truth, the inventory
// mirrors it.
type imageWork struct {
	images *images.Store
	store  inventory.Store
	dir    string
	now    func() time.Time
}

// LocalImages works on the image store of a data directory without a server; a server
// that runs on the same directory notices within rescanEvery.
func LocalImages(data string) (*LocalWork, error) {
	store, err := images.NewStore(filepath.Join(data, "images"))
	if err != nil {
		return nil, err
	}
	return &LocalWork{&imageWork{images: store, dir: data, now: time.Now}}, nil
}

// LocalWork is image work without a server.
type LocalWork struct{ work *imageWork }

// Import is as the API's.
func (l *LocalWork) Import(ctx context.Context, in api.ImageImport, progress func(api.WorkLine)) (inventory.Image, error) {
	return l.work.Import(ctx, in, progress)
}

// Build is as the API's.
func (l *LocalWork) Build(ctx context.Context, in api.ImageBuild, progress func(api.WorkLine)) (inventory.Image, error) {
	return l.work.Build(ctx, in, progress)
}

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

// Import implements rest.Images.
func (w *imageWork) Import(ctx context.Context, in api.ImageImport, progress func(api.WorkLine)) (inventory.Image, error) {
	if !filepath.IsAbs(in.Path) {
		return inventory.Image{}, inventory.Invalid("path %q (the server needs an absolute one)", in.Path)
	}
	o := images.ImportOptions{Name: in.Name, Format: images.Format(in.Format), Channels: channels(in.Channel),
		Traits: master.Traits{SectorBytes: 512, GrowPartition: in.GrowPartition, FirstBoot: master.FirstBoot(in.FirstBoot)},
		Progress: func(p images.ImportProgress) {
			progress(api.WorkLine{Step: p.Step, Bytes: p.DoneBytes, Total: p.TotalBytes})
		}}
	for _, m := range in.BootModes {
		o.BootModes = append(o.BootModes, master.BootMode(m))
	}
	if in.SHA256 != "" {
		sum, err := master.ParseDigest("sha256:" + in.SHA256)
		if err != nil {
			return inventory.Image{}, inventory.Invalid("sha256: %v", err)
		}
		o.SHA256 = sum
	}
	image, err := w.images.Import(ctx, in.Path, o)
	if err != nil {
		return image, err
	}
	return image, w.mirror(ctx)
}

func channels(channel string) []string {
	if channel == "" {
		return []string{inventory.DefaultChannel}
	}
	return []string{channel}
}

// Build implements rest.Images.
func (w *imageWork) Build(ctx context.Context, in api.ImageBuild, progress func(api.WorkLine)) (inventory.Image, error) {
	recipe, err := recipeOf(in)
	if err != nil {
		return inventory.Image{}, err
	}
	o := build.ImageOptions{Force: in.Force, Channels: channels(in.Channel), Version: w.now().UTC().Format("2006-01-02.150405")}
	o.Dir = filepath.Join(w.dir, "build")
	o.Progress = func(s build.Step) { progress(api.WorkLine{Step: s.Name, Bytes: int64(s.Index), Total: int64(s.Count)}) }
	o.StoreProgress = func(p images.ImportProgress) {
		progress(api.WorkLine{Step: p.Step, Bytes: p.DoneBytes, Total: p.TotalBytes})
	}
	image, err := build.Image(ctx, w.images, recipe, o)
	if err != nil {
		return image, err
	}
	return image, w.mirror(ctx)
}

func recipeOf(in api.ImageBuild) (build.Recipe, error) {
	if in.Text != "" {
		return build.ParseRecipe(in.Recipe, []byte(in.Text))
	}
	return build.EmbeddedRecipe(in.Recipe)
}

// mirror makes the inventory list what the store on disk has.
func (w *imageWork) mirror(ctx context.Context) error {
	if w.store == nil {
		return nil
	}
	list, err := w.images.List(ctx)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	points, err := w.images.Channels(ctx)
	if err != nil {
		return fmt.Errorf("list channels: %w", err)
	}
	if same, err := w.mirrored(ctx, list, points); same || err != nil {
		return err
	}
	return w.store.Update(ctx, func(x inventory.Tx) error {
		have, err := x.Images(ctx)
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for _, image := range have {
			known[image.Digest] = true
		}
		for _, image := range list {
			if err := x.PutImage(ctx, image); err != nil {
				return err
			}
			if !known[image.Digest] {
				err = errors.Join(err, w.added(ctx, x, image))
			}
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
		digests := map[string]bool{}
		for _, image := range have {
			digests[image.Digest] = true
		}
		at := map[string]string{}
		for _, c := range channels {
			at[c.Name+":"+c.Channel] = c.Digest
		}
		same = true
		for _, image := range list {
			same = same && digests[image.Digest]
		}
		for _, c := range points {
			same = same && at[c.Name+":"+c.Channel] == c.Digest
		}
		return err
	})
	return same, err
}

func (w *imageWork) added(ctx context.Context, x inventory.Tx, image inventory.Image) error {
	e, err := inventory.NewEvent(nil, w.now(), inventory.ImageAdded{Name: image.Name, Digest: image.Digest})
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}
