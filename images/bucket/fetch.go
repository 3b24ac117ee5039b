package bucket

import (
	"context"
	"errors"
	"fmt"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// Fetch brings an image and documents of it that the store lacks. Its chunks are
// compared with their hashes: with a damaged one it is inventory.ErrInvalid, and the
// image stays away. One that the bucket lacks too is inventory.ErrNotFound. progress is told
// of the bytes that are here; nil is allowed.
func (s *Share) Fetch(ctx context.Context, digest string, progress func(done, total int64)) (inventory.Image, error) {
	d, err := master.ParseDigest(digest)
	if err != nil {
		return inventory.Image{}, inventory.Invalid("digest %q: %v", digest, err)
	}
	image, here, err := s.local(ctx, digest)
	var there contents
	if err == nil {
		there, err = s.listImage(ctx, d)
	}
	switch {
	case err != nil:
	case !here && !there.whole():
		err = inventory.NotFound("image", digest)
	case !here:
		if image, err = s.receive(ctx, d, progress); err == nil {
			s.Log.Info("image fetched", "image", image.Name+"@"+digest)
		}
	}
	if err == nil {
		err = s.pullNew(ctx, d, there)
	}
	if err != nil {
		return image, fmt.Errorf("fetch image %s from %s: %w", digest, s.objects, err)
	}
	return image, nil
}

func (s *Share) local(ctx context.Context, digest string) (image inventory.Image, ok bool, err error) {
	list, err := s.Store.List(ctx)
	for _, image := range list {
		if image.Digest == digest {
			return image, true, err
		}
	}
	return image, false, err
}

func (s *Share) receive(ctx context.Context, d master.Digest, progress func(done, total int64)) (inventory.Image, error) {
	manifest, _, err := s.objects.get(ctx, blobFolder(d)+manifestName, maxManifestBytes)
	if err != nil {
		return inventory.Image{}, err
	}
	document, _, err := s.objects.get(ctx, blobFolder(d)+imageName, maxDocumentBytes)
	if err != nil {
		return inventory.Image{}, err
	}
	image, err := s.Store.Receive(ctx, d.String(), images.Incoming{Manifest: manifest, Image: document, Frame: s.getChunk, AtOnce: atOnce, Progress: progress})
	var damaged *images.DamagedChunkError
	if errors.As(err, &damaged) {
		err = errors.Join(err, s.complain(ctx, damaged.Chunk.Name()))
	}
	return image, err
}
