package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// atOnce is how many objects go over the line at a time.
const atOnce = 8

// exchange puts what the bucket lacks, and brings the documents that others added.
func (s *Share) exchange(ctx context.Context) error {
	decisions, err := s.Decide(ctx)
	if err != nil {
		return err
	}
	there, err := s.listImages(ctx)
	if err != nil {
		return err
	}
	if err = s.pushAll(ctx, decisions, there); errors.Is(err, ErrUnreachable) {
		return err
	}
	return errors.Join(err, s.pullDocuments(ctx, there))
}

// pushAll puts the images that the store keeps, and their documents, where the bucket
// lacks them.
func (s *Share) pushAll(ctx context.Context, decisions []images.Decision, there map[master.Digest]contents) error {
	var all []error
	for _, decision := range decisions {
		d, err := master.ParseDigest(decision.Image.Digest)
		if err == nil && decision.Keep {
			err = s.push(ctx, decision.Image, d, there[d])
		}
		if errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return errors.Join(append(all, err)...)
		}
		all = append(all, err)
	}
	return errors.Join(all...)
}

// push puts what the bucket lacks of an image of the store: there is what it has. An image
// that left the store meanwhile is no error.
func (s *Share) push(ctx context.Context, image inventory.Image, d master.Digest, there contents) error {
	if err := s.pushing.enter(ctx); err != nil {
		return err
	}
	defer s.pushing.leave()
	folder, err := s.Store.Folder(image.Digest)
	if err == nil && !there.whole() {
		err = s.pushNew(ctx, image, d, folder)
	} else if err == nil {
		err = s.pushDocuments(ctx, d, folder, there)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, inventory.ErrNotFound) && !s.stored(image.Digest) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("put image %s@%s into the bucket: %w", image.Name, image.Digest, err)
	}
	return nil
}

func (s *Share) stored(digest string) bool {
	_, err := s.Store.Folder(digest)
	return err == nil
}

// pushNew puts a whole image: the manifest first, which holds its chunks; image.json last.
func (s *Share) pushNew(ctx context.Context, image inventory.Image, d master.Digest, folder fs.FS) (err error) {
	if err := s.Store.Compress(ctx, nil); err != nil { // its frames go as they are stored
		return err
	}
	m, err := s.Store.Open(image.Digest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if err := s.objects.put(ctx, blobFolder(d)+manifestName, bytes.NewReader(m.Document), int64(len(m.Document))); err != nil {
		return err
	}
	if err := s.free(ctx); err != nil {
		return err
	}
	if err := s.pushChunks(ctx, m); err != nil {
		return err
	}
	there, err := s.listImage(ctx, d)
	if err != nil {
		return err
	}
	if err := s.pushDocuments(ctx, d, folder, there); err != nil {
		return err
	}
	document, err := fs.ReadFile(folder, imageName)
	if err != nil {
		return err
	}
	if err := s.objects.swap(ctx, blobFolder(d)+imageName, "", document); err != nil && !errors.Is(err, errChanged) { // another server has the same
		return err
	}
	s.Log.Info("image is in the bucket", "image", image.Name+"@"+image.Digest)
	return nil
}
