package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/images"
	"ingot/images/bucket"
	"ingot/images/build"
	"ingot/images/master"
	"ingot/images/publish"
	"ingot/images/sign"
	"ingot/inventory"
	"ingot/inventory/api"
)

// imageWork implements rest.Images: the store on disk is the truth, the inventory
// mirrors it.
type imageWork struct {
	// images is what machines and hosts get: with keys, only what one of them signed.
	images  *images.Store
	publish *publish.Publisher
	store   inventory.Store // nil without a server
	share   *bucket.Share   // nil for none
	// gone is told of an image that was removed; nil is allowed.
	gone func(ctx context.Context, digest string)
	cfg  Images
	now  func() time.Time
	log  *slog.Logger
}

// openImageWork opens the image store of a data directory twice: once for those who are
// served, and once for the publisher, who must open what is not signed yet.
func openImageWork(data string, cfg Images, log *slog.Logger) (*imageWork, error) {
	served, err := images.NewStore(filepath.Join(data, "images"))
	if err != nil {
		return nil, err
	}
	own, err := images.NewStore(filepath.Join(data, "images"))
	if err != nil {
		return nil, err
	}
	quota, err := cfg.quotaBytes()
	if err != nil {
		return nil, err
	}
	served.SetQuota(quota)
	own.SetQuota(quota)
	keys, err := sign.LoadKeys(cfg.TrustedKeys)
	if err != nil {
		return nil, err
	}
	served.Trust = keys.Trust
	work := filepath.Join(data, "build")
	w := &imageWork{images: served, cfg: cfg, now: time.Now, log: log}
	w.publish = &publish.Publisher{Store: own, Keys: keys, Guest: publish.Machines{Dir: work, Log: log}, Dir: work, Cache: filepath.Join(data, "cache"),
		Now: time.Now, Log: log, Events: w.tell}
	w.publish.Signer, err = cfg.signer()
	return w, err
}

// signer opens the signing key, nil for none.
func (i Images) signer() (*sign.Signer, error) {
	if i.SigningKey == "" {
		return nil, nil
	}
	if i.SigningPasswordFile == "" {
		return sign.OpenSigner(i.SigningKey, nil)
	}
	return sign.OpenSigner(i.SigningKey, func() (string, error) {
		text, err := os.ReadFile(i.SigningPasswordFile)
		return strings.TrimRight(string(text), "\r\n"), err
	})
}

// LocalImages works on the image store of a data directory without a server; a server
// that runs on the same directory notices within rescanEvery.
func LocalImages(data string) (*LocalWork, error) {
	w, err := openImageWork(data, Images{}, slog.New(slog.DiscardHandler))
	return &LocalWork{w}, err
}

// LocalWork is image work without a server.
type LocalWork struct{ *imageWork }

// publicationStep tells of a step in the API's form.
func publicationStep(progress func(api.WorkLine)) func(publish.Step) {
	return func(s publish.Step) {
		progress(api.WorkLine{Step: s.Name, Bytes: s.Bytes, Total: s.Total, Index: s.Index, Count: s.Count})
	}
}

// Import implements rest.Images.
func (w *imageWork) Import(ctx context.Context, in api.ImageImport, progress func(api.WorkLine)) (inventory.Image, error) {
	if !filepath.IsAbs(in.Path) && !isURL(in.Path) {
		return inventory.Image{}, inventory.Invalid("path %q (the server needs an absolute one, or a URL)", in.Path)
	}
	o := images.ImportOptions{Name: in.Name, Format: images.Format(in.Format), Version: w.version(),
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
	image, err := w.publish.Store.Import(ctx, in.Path, o)
	if err != nil {
		return image, err
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

func (w *imageWork) version() string { return w.now().UTC().Format("2006-01-02.150405") }

// Build implements rest.Images.
func (w *imageWork) Build(ctx context.Context, in api.ImageBuild, progress func(api.WorkLine)) (inventory.Image, error) {
	recipe, err := recipeOf(in)
	if err != nil {
		return inventory.Image{}, err
	}
	o := publish.Order{Recipe: recipe, Channel: channelOf(in.Channel), Version: w.version(), Force: in.Force, Untested: in.Untested, Why: "built"}
	r, err := w.publish.Build(ctx, o, io.Discard, publicationStep(progress))
	if mirrored := w.mirror(ctx); mirrored != nil {
		return r.Image, mirrored
	}
	if err == nil && r.Unchanged {
		progress(api.WorkLine{Step: "unchanged", Unchanged: true})
	}
	return r.Image, err
}

// recipeOf is the recipe's text, a file of the server's, or a built-in one.
func recipeOf(in api.ImageBuild) (build.Recipe, error) {
	switch {
	case in.Text != "":
		return build.Parse(in.Recipe, []byte(in.Text), build.ParseOptions{Set: in.Set})
	case strings.ContainsAny(in.Recipe, "/"):
		return build.LoadRecipe(in.Recipe, in.Set)
	}
	return build.EmbeddedRecipeWith(in.Recipe, in.Set)
}

// RecipeText reads a recipe with all that it names beside it into one text.
func RecipeText(file string, set map[string]string) (string, error) {
	r, err := build.LoadRecipe(file, set)
	if err != nil {
		return "", err
	}
	text, err := r.Document()
	return string(text), err
}

// Test implements rest.Images.
func (w *imageWork) Test(ctx context.Context, in api.ImageTest, progress func(api.WorkLine)) (inventory.Image, error) {
	image, err := w.publish.Store.Get(ctx, in.Image)
	if err != nil {
		return image, err
	}
	image, err = w.publish.Test(ctx, image, in.Modes, false, publicationStep(progress))
	if err != nil {
		return image, err
	}
	return image, w.mirror(ctx)
}

// Export implements rest.Images.
func (w *imageWork) Export(ctx context.Context, in api.ImageExport, progress func(api.WorkLine)) (inventory.Image, error) {
	if !filepath.IsAbs(in.Path) {
		return inventory.Image{}, inventory.Invalid("path %q (the server needs an absolute one)", in.Path)
	}
	image, err := w.images.Get(ctx, in.Image)
	if err != nil {
		return image, err
	}
	return image, w.images.Export(ctx, image.Digest, images.Format(in.Format), in.Path, images.ExportOptions{Overwrite: in.Overwrite,
		Progress: func(done, total int64) { progress(api.WorkLine{Step: "export", Bytes: done, Total: total}) }})
}
