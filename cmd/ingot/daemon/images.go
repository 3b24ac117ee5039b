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
	list, err := w.images.List(ctx)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	points, err := w.images.Channels(ctx)
	if err != nil {
		return fmt.Errorf("list channels: %w", err)
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

func (w *imageWork) added(ctx context.Context, x inventory.Tx, image inventory.Image) error {
	e, err := inventory.NewEvent(nil, w.now(), inventory.ImageAdded{Name: image.Name, Digest: image.Digest})
	if err != nil {
		return err
	}
	_, err = x.AddEvent(ctx, e)
	return err
}
