package bucket

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"ingot/inventory"
)

// record is what a server has, for those who collect.
type record struct {
	Server string    `json:"server"`
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
	Images []held    `json:"images"`
}

// held is an image that a server has and keeps. Why is for people.
type held struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Why    string `json:"why"`
}

// register writes this server's record, when something changed or the old one is half as
// old as it may get.
func (s *Share) register(ctx context.Context) error {
	decisions, err := s.Decide(ctx)
	if err != nil {
		return err
	}
	images := []held{}
	for _, d := range decisions {
		if d.Keep {
			images = append(images, held{d.Image.Name, d.Image.Digest, d.Why})
		}
	}
	return s.record(ctx, func() { s.kept = images })
}

// claim adds an image to the record until release is called: before it is put or pointed
// to, so that who collects sees it (see [Share.free]).
func (s *Share) claim(ctx context.Context, h held) (release func(), err error) {
	err = s.record(ctx, func() { s.claims[h.Digest] = h })
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.claims, h.Digest)
	}, err
}

// record changes what this server has, and writes it where the bucket's is another or old.
func (s *Share) record(ctx context.Context, change func()) error {
	if err := s.recording.enter(ctx); err != nil {
		return err
	}
	defer s.recording.leave()
	s.mu.Lock()
	change()
	r := record{s.Server, s.Name, s.Now().UTC(), slices.Clone(s.kept)}
	for _, h := range s.claims {
		if !slices.ContainsFunc(r.Images, func(k held) bool { return k.Digest == h.Digest }) {
			r.Images = append(r.Images, h)
		}
	}
	last := s.wrote
	s.mu.Unlock()
	slices.SortFunc(r.Images, func(a, b held) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Digest, b.Digest))
	})
	if !last.At.IsZero() && slices.Equal(last.Images, r.Images) && r.At.Sub(last.At) < s.Forget/2 {
		return nil
	}
	document, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := s.objects.put(ctx, serversFolder+s.Server+".json", bytes.NewReader(document), int64(len(document))); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote = r
	return nil
}

// servers reads the records of all servers. One that can't be read is an error: nobody
// knows then what is in use.
func (s *Share) servers(ctx context.Context) ([]record, error) {
	var all []record
	for o, err := range s.objects.list(ctx, serversFolder) {
		if err != nil {
			return nil, err
		}
		var r record
		err := s.readJSON(ctx, o.key, &r)
		if errors.Is(err, inventory.ErrNotFound) {
			continue
		}
		if err == nil && r.Server != strings.TrimSuffix(path.Base(o.key), ".json") {
			err = inventory.Invalid("%s in %s is the record of server %q", o.key, s.objects, r.Server)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// readJSON reads a document. One that is none is inventory.ErrInvalid.
func (s *Share) readJSON(ctx context.Context, key string, to any) error {
	data, _, err := s.objects.get(ctx, key, maxDocumentBytes)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return inventory.Invalid("%s in %s: %v", key, s.objects, err)
	}
	return nil
}
