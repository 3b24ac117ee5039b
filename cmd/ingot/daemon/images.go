package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ingot/images"
	"ingot/images/bucket"
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
	// later leaves the compression of imports to compress; it is woken by imported.
	later    bool
	imported chan struct{}
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
	logMended(served, log)
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
	w := &imageWork{images: served, cfg: cfg, now: time.Now, log: log, imported: make(chan struct{}, 1)}
	w.publish = &publish.Publisher{Store: own, Keys: keys, Guest: publish.Machines{Dir: work, Log: log}, Dir: work, Cache: filepath.Join(data, "cache"),
		Now: time.Now, Log: log, Events: w.tell}
	w.publish.Signer, err = cfg.signer()
	return w, err
}

// logMended tells of the store's indexes that were damaged.
func logMended(s *images.Store, log *slog.Logger) {
	for _, line := range s.Mended() {
		log.Warn("an index of the image store was looked into", "found", line)
	}
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
// that runs on the same directory notices within rescanEvery. The log is told what was
// found damaged there, and mended.
func LocalImages(data string, log *slog.Logger) (*LocalWork, error) {
	w, err := openImageWork(data, Images{}, log)
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

func (w *imageWork) version() string { return w.now().UTC().Format("2006-01-02.150405") }

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
