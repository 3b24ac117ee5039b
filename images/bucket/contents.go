package bucket

import (
	"context"

	"ingot/images/master"
)

// contents are the objects of an image by their names, with their sizes.
type contents map[string]int64

// whole reports whether the image is there.
func (c contents) whole() bool { _, ok := c[imageName]; return ok }

// listImages lists what the bucket has of all images.
func (s *Share) listImages(ctx context.Context) (map[master.Digest]contents, error) {
	all := map[master.Digest]contents{}
	for o, err := range s.objects.list(ctx, blobsFolder) {
		if err != nil {
			return nil, err
		}
		d, name, ok := blobKey(o.key)
		if !ok {
			continue
		}
		if all[d] == nil {
			all[d] = contents{}
		}
		all[d][name] = o.sizeBytes
	}
	return all, nil
}

func (s *Share) listImage(ctx context.Context, d master.Digest) (contents, error) {
	all := contents{}
	for o, err := range s.objects.list(ctx, blobFolder(d)) {
		if err != nil {
			return nil, err
		}
		if _, name, ok := blobKey(o.key); ok {
			all[name] = o.sizeBytes
		}
	}
	return all, nil
}
