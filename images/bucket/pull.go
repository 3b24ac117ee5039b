package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// follow brings what the channels in the bucket point to, and makes the store's channels
// follow. A channel whose image can't be had, or is not trusted, stays where it is.
func (s *Share) follow(ctx context.Context) error {
	names, err := s.names(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for name, etag := range names {
		err := s.followName(ctx, name, etag)
		errs = append(errs, err)
		if errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *Share) followName(ctx context.Context, name, etag string) error {
	s.mu.Lock()
	now, ok := s.seen[name]
	s.mu.Unlock()
	if !ok || now.etag != etag {
		var err error
		if now, err = s.readChannels(ctx, name); err != nil {
			return err
		}
		s.mu.Lock()
		s.seen[name] = now
		s.mu.Unlock()
	}
	here, err := s.localChannels(ctx, name)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range now.Channels {
		if here[p.Channel] == p.Digest {
			continue
		}
		err := s.followOne(ctx, name, p, now.Moves)
		if err != nil {
			err = fmt.Errorf("channel %s:%s stays at %s, server %s moved it to %s: %w", name, p.Channel, orNowhere(here[p.Channel]), p.By, p.Digest, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func orNowhere(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return digest
}

func (s *Share) localChannels(ctx context.Context, name string) (map[string]string, error) {
	all, err := s.Store.Channels(ctx)
	here := map[string]string{}
	for _, c := range all {
		if c.Name == name {
			here[c.Channel] = c.Digest
		}
	}
	return here, err
}

func (s *Share) followOne(ctx context.Context, name string, p pointer, moves []inventory.ChannelMove) error {
	image, err := s.Fetch(ctx, p.Digest)
	if err != nil {
		return err
	}
	if image.Name != name {
		return inventory.Invalid("that image is named %q", image.Name)
	}
	if err := s.trusted(p.Digest); err != nil {
		return err
	}
	if err := s.Store.Follow(ctx, name, []inventory.ChannelMove{p.ChannelMove}, moves); err != nil {
		return err
	}
	s.Log.Info("channel followed", "channel", name+":"+p.Channel, "image", p.Digest, "server", p.By)
	if s.Followed != nil {
		s.Followed(ctx, name, p.ChannelMove)
	}
	return nil
}

func (s *Share) trusted(digest string) error {
	if s.Trust == nil {
		return nil
	}
	m, err := s.Store.Open(digest)
	if err != nil {
		return err
	}
	signatures, err := s.Store.Signatures(digest)
	if err == nil {
		err = s.Trust(m.Document, signatures)
	}
	return errors.Join(err, m.Close())
}

// Fetch brings an image and documents of it that the store lacks. Its chunks are
// compared with their hashes: with a damaged one it is inventory.ErrInvalid, and the
// image stays away. One that the bucket lacks too is inventory.ErrNotFound.
func (s *Share) Fetch(ctx context.Context, digest string) (inventory.Image, error) {
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
		if image, err = s.receive(ctx, d); err == nil {
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

func (s *Share) receive(ctx context.Context, d master.Digest) (inventory.Image, error) {
	manifest, _, err := s.objects.get(ctx, blobFolder(d)+manifestName, maxManifestBytes)
	if err != nil {
		return inventory.Image{}, err
	}
	document, _, err := s.objects.get(ctx, blobFolder(d)+imageName, maxDocumentBytes)
	if err != nil {
		return inventory.Image{}, err
	}
	image, err := s.Store.Receive(ctx, d.String(), images.Incoming{Manifest: manifest, Image: document, Frame: s.getChunk, AtOnce: atOnce})
	var damaged *images.DamagedChunkError
	if errors.As(err, &damaged) {
		err = errors.Join(err, s.complain(ctx, damaged.Chunk.FrameSHA256))
	}
	return image, err
}

func (s *Share) getChunk(ctx context.Context, c master.Chunk) ([]byte, error) {
	frame, _, err := s.objects.get(ctx, chunkKey(c.FrameSHA256), c.FileLength)
	if err != nil {
		if errors.Is(err, inventory.ErrInvalid) || errors.Is(err, inventory.ErrNotFound) {
			err = errors.Join(err, s.complain(ctx, c.FrameSHA256))
		}
		return nil, err
	}
	s.Stats.PulledBytes.Add(int64(len(frame)))
	return frame, nil
}

// pullDocuments brings the documents of the store's images that others added.
func (s *Share) pullDocuments(ctx context.Context, there map[master.Digest]contents) error {
	list, err := s.Store.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, image := range list {
		d, err := master.ParseDigest(image.Digest)
		if err == nil && there[d].whole() {
			err = s.pullNew(ctx, d, there[d])
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// pullNew brings the documents that an image of the store lacks.
func (s *Share) pullNew(ctx context.Context, d master.Digest, there contents) error {
	folder, err := s.Store.Folder(d.String())
	if err != nil {
		return nil // it left the store
	}
	tests := map[string][]string{}
	for name := range there {
		kind, rest, _ := strings.Cut(name, "/")
		switch kind {
		case "files", "signatures":
			if has(folder, name) {
				continue
			}
			if err := s.pullDocument(ctx, d, kind, rest); err != nil {
				return err
			}
		case "tests":
			id, file, _ := strings.Cut(rest, "/")
			if !has(folder, "tests/"+id) && file != "" {
				tests[id] = append(tests[id], file)
			}
		}
	}
	for id, files := range tests {
		if _, done := there["tests/"+id+"/"+resultName]; !done {
			continue
		}
		if err := s.pullTest(ctx, d, id, files); err != nil {
			return err
		}
	}
	return nil
}

func (s *Share) pullDocument(ctx context.Context, d master.Digest, kind, name string) error {
	data, _, err := s.objects.get(ctx, blobFolder(d)+kind+"/"+name, maxFileBytes)
	if err != nil {
		return err
	}
	if kind == "files" {
		return s.Store.AddFile(ctx, d.String(), name, data)
	}
	key, ok := strings.CutSuffix(name, ".minisig")
	if !ok {
		return nil
	}
	return s.Store.PutSignature(ctx, d.String(), key, data)
}

func (s *Share) pullTest(ctx context.Context, d master.Digest, id string, files []string) (err error) {
	dir, err := os.MkdirTemp("", "ingot-boot-test-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var test inventory.ImageTest
	paths := map[string]string{}
	for _, name := range files {
		data, _, err := s.objects.get(ctx, blobFolder(d)+"tests/"+id+"/"+name, maxFileBytes)
		if err != nil {
			return err
		}
		if name == resultName {
			if err := json.Unmarshal(data, &test); err != nil {
				return inventory.Invalid("result of boot test %s of %s in %s: %v", id, d, s.objects, err)
			}
			continue
		}
		if !filepath.IsLocal(name) || strings.Contains(name, "/") {
			return inventory.Invalid("boot test %s of %s in %s has a file %q", id, d, s.objects, name)
		}
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], data, 0o600); err != nil {
			return err
		}
	}
	if test.ID != id {
		return inventory.Invalid("boot test %s of %s in %s says it is %q", id, d, s.objects, test.ID)
	}
	return s.Store.AddTest(ctx, d.String(), test, paths)
}
