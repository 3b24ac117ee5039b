package bucket

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"ingot/inventory"
)

// Listed is an image in the bucket.
type Listed struct {
	Image    inventory.Image
	Channels []string
	// Here tells whether the store has it too.
	Here bool
}

// List returns the images that are whole in the bucket, by name and newest first.
func (s *Share) List(ctx context.Context) ([]Listed, error) {
	there, err := s.listImages(ctx)
	if err != nil {
		return nil, err
	}
	names, err := s.names(ctx)
	if err != nil {
		return nil, err
	}
	at := map[string][]string{}
	for name := range names {
		c, err := s.readChannels(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, p := range c.Channels {
			at[name+"@"+p.Digest] = append(at[name+"@"+p.Digest], p.Channel)
		}
	}
	all := []Listed{}
	for d, c := range there {
		if !c.whole() {
			continue
		}
		image, err := s.image(ctx, blobFolder(d)+imageName)
		if errors.Is(err, inventory.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Listed{image, at[image.Name+"@"+image.Digest], s.stored(d.String())})
	}
	slices.SortFunc(all, func(a, b Listed) int {
		return cmp.Or(strings.Compare(a.Image.Name, b.Image.Name), b.Image.Created.Compare(a.Image.Created), strings.Compare(a.Image.Digest, b.Image.Digest))
	})
	return all, nil
}

// image reads an image's document.
func (s *Share) image(ctx context.Context, key string) (inventory.Image, error) {
	var image inventory.Image
	data, _, err := s.objects.get(ctx, key, maxDocumentBytes)
	if err != nil {
		return image, err
	}
	if err := json.Unmarshal(data, &image); err != nil {
		return image, inventory.Invalid("%s in %s: %v", key, s.objects, err)
	}
	return image, nil
}
