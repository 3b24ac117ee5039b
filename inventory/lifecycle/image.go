package lifecycle

import (
	"context"
	"slices"

	"ingot/inventory"
)

// ResolveImage finds the version that a reference means now.
func ResolveImage(ctx context.Context, x inventory.Tx, text string) (inventory.Image, error) {
	ref, err := inventory.ParseImageRef(text)
	if err != nil {
		return inventory.Image{}, err
	}
	if ref.Digest == "" {
		channels, err := x.Channels(ctx)
		if err != nil {
			return inventory.Image{}, err
		}
		i := slices.IndexFunc(channels, func(c inventory.Channel) bool { return c.Name == ref.Name && c.Channel == ref.Channel })
		if i < 0 {
			return inventory.Image{}, inventory.NotFound("image", ref.String())
		}
		ref.Digest = channels[i].Digest
	}
	return imageByDigest(ctx, x, ref)
}

func imageByDigest(ctx context.Context, x inventory.Tx, ref inventory.ImageRef) (inventory.Image, error) {
	images, err := x.Images(ctx)
	if err != nil {
		return inventory.Image{}, err
	}
	var found []inventory.Image
	for _, image := range images {
		if image.Name == ref.Name && len(image.Digest) >= len(ref.Digest) && image.Digest[:len(ref.Digest)] == ref.Digest {
			found = append(found, image)
		}
	}
	if len(found) > 1 {
		return inventory.Image{}, inventory.Invalid("image %s fits %d versions; give more of the digest", ref, len(found))
	}
	if len(found) == 0 {
		return inventory.Image{}, inventory.NotFound("image", ref.String())
	}
	return found[0], nil
}
