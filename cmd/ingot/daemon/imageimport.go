package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"ingot/images"
	"ingot/images/master"
	"ingot/images/publish"
	"ingot/inventory"
	"ingot/inventory/api"
)

// Import implements rest.Images.
func (w *imageWork) Import(ctx context.Context, in api.ImageImport, progress func(api.WorkLine)) (inventory.Image, error) {
	if !filepath.IsAbs(in.Path) && !isURL(in.Path) {
		return inventory.Image{}, inventory.Invalid("path %q (the server needs an absolute one, or a URL)", in.Path)
	}
	o := images.ImportOptions{Name: in.Name, Format: images.Format(in.Format), Version: w.version(), Later: w.later,
		Traits: master.Traits{GrowPartition: in.GrowPartition, FirstBoot: master.FirstBoot(in.FirstBoot)},
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
	image, err := w.publish.Store.Import(ctx, in.Path, o)
	if err != nil {
		return image, err
	}
	select {
	case w.imported <- struct{}{}:
	default:
	}
	return w.release(ctx, image, in.Channel, in.Untested, "imported", progress)
}

func isURL(path string) bool {
	u, err := url.Parse(path)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https")
}

// noChannel asks that no channel be moved.
const noChannel = "-"

func channelOf(channel string) string {
	switch channel {
	case "":
		return inventory.DefaultChannel
	case noChannel:
		return ""
	}
	return channel
}

// release moves a channel to an image that is stored already: a failure says so.
func (w *imageWork) release(ctx context.Context, image inventory.Image, channel string, untested bool, why string, progress func(api.WorkLine)) (inventory.Image, error) {
	channel = channelOf(channel)
	if channel == "" {
		return image, w.mirror(ctx)
	}
	released, err := w.publish.Release(ctx, image, publish.Move{Channel: channel, Untested: untested, Why: why}, publicationStep(progress))
	if mirrored := w.mirror(ctx); mirrored != nil {
		return released, mirrored
	}
	if err != nil {
		return image, fmt.Errorf("%s@%s is stored, and channel %s did not move%s: %w", image.Name, image.Digest, channel, wayRound(err), err)
	}
	return released, nil
}

// wayRound is what moves a channel in spite of an error.
func wayRound(err error) string {
	var step *publish.StepError
	if errors.As(err, &step) && step.Step == "boot test" {
		return " (--untested moves it without a boot test)"
	}
	return ""
}
