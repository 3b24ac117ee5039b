package hyperv

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ingot/hypervisor"
	"ingot/inventory"
)

// image is an image at the host, or one that is to come.
type image struct {
	digest, path string
	sizeBytes    int64
	toCome       bool
}

// Images implements hypervisor.Driver. They are shared by all owners at the host.
func (d *Driver) Images(ctx context.Context) ([]string, error) {
	p, err := d.place(ctx)
	if err != nil {
		return nil, err
	}
	var digests []string
	for _, i := range p.Images {
		digests = append(digests, "sha256:"+strings.TrimSuffix(i.File, vhdx))
	}
	slices.Sort(digests)
	return digests, nil
}

func (d *Driver) place(ctx context.Context) (placeAnswer, error) {
	return call(ctx, d, askPlace, "look at images and switches", placeRequest{Images: d.paths.images()})
}

// imageIn finds an image among those that are there.
func (d *Driver) imageIn(p placeAnswer, digest string) (image, error) {
	for _, i := range p.Images {
		if i.File == stem(digest)+vhdx {
			return image{digest: digest, path: d.paths.image(digest), sizeBytes: i.SizeBytes}, nil
		}
	}
	return image{}, inventory.NotFound("image", digest)
}

// RemoveImage implements hypervisor.Driver. Hyper-V would let it go from under the disks
// that stand on it, so the script looks first. What was fetched of it goes too.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	release, err := d.turns.Take(ctx, "image "+digest)
	if err != nil {
		return err
	}
	defer release()
	if !digestForm.MatchString(digest) {
		return nil
	}
	answer, err := change(ctx, d, removeImage, "remove image "+digest, removeImageRequest{Image: d.paths.image(digest), Folder: d.paths.root, Images: d.paths.images(),
		Stem: stem(digest) + ".", Lock: d.paths.imageLock(digest)})
	if err != nil {
		return err
	}
	if len(answer.UsedBy) > 0 {
		return fmt.Errorf("image %s: %d disks stand on it, %s is one: %w", digest, len(answer.UsedBy), answer.UsedBy[0], inventory.ErrBusy)
	}
	return nil
}

// checkDigest reports one that names no image.
func checkDigest(i hypervisor.Image) error {
	if !digestForm.MatchString(i.Digest) {
		return inventory.Invalid("image %s has the digest %q (want sha256: and 64 hex digits)", i.Name, i.Digest)
	}
	return nil
}
