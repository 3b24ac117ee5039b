package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// atOnce is how many objects go over the line at a time.
const atOnce = 8

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

// pushChunks puts the chunks that the bucket lacks or has with another length.
func (s *Share) pushChunks(ctx context.Context, m *images.Master) error {
	have, err := s.listChunks(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, c := range m.Manifest.Chunks {
		if o, ok := have[c.FrameSHA256]; ok && o.sizeBytes == c.FileLength {
			continue
		}
		have[c.FrameSHA256] = object{sizeBytes: c.FileLength}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			frame, err := m.Frame(i)
			if err != nil {
				return err
			}
			return s.putChunk(ctx, c.FrameSHA256, frame)
		})
	}
	return group.Wait()
}

func (s *Share) putChunk(ctx context.Context, d master.Digest, frame []byte) error {
	err := s.objects.put(ctx, chunkKey(d), bytes.NewReader(frame), int64(len(frame)))
	if err == nil {
		s.Stats.PushedBytes.Add(int64(len(frame)))
	}
	return err
}

// listChunks lists all chunks of the bucket.
func (s *Share) listChunks(ctx context.Context) (map[master.Digest]object, error) {
	all := map[master.Digest]object{}
	for o, err := range s.objects.list(ctx, chunksFolder) {
		if err != nil {
			return nil, err
		}
		if d, ok := digestOf(o.key); ok {
			all[d] = o
		}
	}
	return all, nil
}

// pushDocuments puts the documents that the bucket lacks. The result of a boot test comes
// after its other files: with it the test is there.
func (s *Share) pushDocuments(ctx context.Context, d master.Digest, folder fs.FS, there contents) error {
	var lacks []string
	err := fs.WalkDir(folder, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if _, ok := there[name]; !ok && isDocument(name) {
			lacks = append(lacks, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(lacks, func(a, b string) int {
		return boolRank(path.Base(a) == resultName) - boolRank(path.Base(b) == resultName)
	})
	for _, name := range lacks {
		if err := s.pushFile(ctx, folder, name, blobFolder(d)+name); err != nil {
			return err
		}
	}
	return nil
}

func boolRank(last bool) int {
	if last {
		return 1
	}
	return 0
}

// isDocument tells what of an image's folder is added after it.
func isDocument(name string) bool {
	for _, folder := range []string{"files/", "tests/", "signatures/"} {
		if strings.HasPrefix(name, folder) {
			return true
		}
	}
	return false
}

func (s *Share) pushFile(ctx context.Context, folder fs.FS, name, key string) error {
	data, err := fs.ReadFile(folder, name)
	if err != nil {
		return err
	}
	return s.objects.put(ctx, key, bytes.NewReader(data), int64(len(data)))
}

// sameName errors with inventory.ErrConflict when the bucket has the image under another
// name.
func (s *Share) sameName(ctx context.Context, d master.Digest, name string) error {
	data, _, err := s.objects.get(ctx, blobFolder(d)+imageName, maxDocumentBytes)
	if err != nil {
		return err
	}
	var image inventory.Image
	if err := json.Unmarshal(data, &image); err != nil {
		return inventory.Invalid("%s of %s in %s: %v", imageName, d, s.objects, err)
	}
	if image.Name != name {
		return inventory.Conflict("the same image is in %s as %q", s.objects, image.Name)
	}
	return nil
}
