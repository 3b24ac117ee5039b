package bucket

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// unfinishedFor is how long an image without its last object is left to who puts it there.
const unfinishedFor = 24 * time.Hour

// Plan decides about each image in the bucket, and removes nothing. What a channel points
// to, a server has (it wrote so within [Share.Forget]), or the retention keeps stays.
func (s *Share) Plan(ctx context.Context) ([]images.Decision, error) {
	if err := s.ensureChecked(ctx); err != nil {
		return nil, err
	}
	if err := s.register(ctx); err != nil {
		return nil, err
	}
	p, err := s.survey(ctx)
	if err != nil {
		return nil, fmt.Errorf("plan what to remove from %s: %w", s.objects, err)
	}
	return p.decisions, nil
}

// survey is what is in the bucket, and what becomes of it.
type survey struct {
	decisions []images.Decision
	// manifests are those of all images; keys their objects.
	manifests map[master.Digest]*master.Manifest
	keys      map[master.Digest][]string
}

func (s *Share) survey(ctx context.Context) (*survey, error) {
	p := &survey{manifests: map[master.Digest]*master.Manifest{}, keys: map[master.Digest][]string{}}
	reasons, err := s.reasons(ctx)
	if err != nil {
		return nil, err
	}
	modified := map[master.Digest]time.Time{}
	for o, err := range s.objects.list(ctx, blobsFolder) {
		if err != nil {
			return nil, err
		}
		d, name, ok := blobKey(o.key)
		if !ok {
			continue
		}
		p.keys[d] = append(p.keys[d], o.key)
		if name == imageName || name == manifestName {
			modified[d] = maxTime(modified[d], o.modified)
		}
	}
	for d := range p.keys {
		if err := s.decide(ctx, p, d, reasons[d.String()], s.Now().Sub(modified[d])); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(p.decisions, func(a, b images.Decision) int {
		return cmp.Or(strings.Compare(a.Image.Name, b.Image.Name), b.Image.Created.Compare(a.Image.Created), strings.Compare(a.Image.Digest, b.Image.Digest))
	})
	return p, s.weigh(ctx, p)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// decide adds one image, whose last document came age ago.
func (s *Share) decide(ctx context.Context, p *survey, d master.Digest, why string, age time.Duration) error {
	image := inventory.Image{Name: "(unfinished)", Digest: d.String()}
	data, _, err := s.objects.get(ctx, blobFolder(d)+imageName, maxDocumentBytes)
	whole := err == nil
	switch {
	case whole:
		if err := json.Unmarshal(data, &image); err != nil {
			return inventory.Invalid("%s of %s in %s: %v", imageName, d, s.objects, err)
		}
	case !errors.Is(err, inventory.ErrNotFound):
		return err
	}
	if p.manifests[d], err = s.manifest(ctx, d); err != nil && !errors.Is(err, inventory.ErrNotFound) {
		return err
	}
	switch {
	case why != "":
	case whole && age < s.Retention.Grace:
		why = fmt.Sprintf("in the bucket for less than %s", s.Retention.Grace)
	case !whole && age < unfinishedFor:
		why = "a server may be putting it there"
	}
	if p.manifests[d] == nil && why != "" {
		return inventory.Invalid("image %s@%s in %s has no %s, so nobody knows which chunks it needs: remove %s, and a server that has it puts it there anew",
			image.Name, d, s.objects, manifestName, blobFolder(d))
	}
	p.decisions = append(p.decisions, images.Decision{Image: image, Keep: why != "", Why: why})
	return nil
}

// manifest reads a manifest, from the store where it has the image.
func (s *Share) manifest(ctx context.Context, d master.Digest) (*master.Manifest, error) {
	if folder, err := s.Store.Folder(d.String()); err == nil {
		if data, err := fs.ReadFile(folder, manifestName); err == nil {
			if m, err := master.ParseManifestDigest(data, d); err == nil {
				return m, nil
			}
		}
	}
	data, _, err := s.objects.get(ctx, blobFolder(d)+manifestName, maxManifestBytes)
	if err != nil {
		return nil, err
	}
	m, err := master.ParseManifestDigest(data, d)
	if err != nil {
		return nil, inventory.Invalid("%s of %s in %s: %v: a server that has the image must put it there anew", manifestName, d, s.objects, err)
	}
	return m, nil
}

// weigh fills in what goes with the images that go: chunks that nothing has that stays.
func (s *Share) weigh(ctx context.Context, p *survey) error {
	if !slices.ContainsFunc(p.decisions, func(d images.Decision) bool { return !d.Keep }) {
		return nil
	}
	chunks, err := s.listChunks(ctx)
	if err != nil {
		return err
	}
	holders := map[master.Digest]int{}
	for _, m := range p.manifests {
		for sum := range frames(m) {
			holders[sum]++
		}
	}
	for i := range p.decisions {
		decision := &p.decisions[i]
		if decision.Keep {
			continue
		}
		d, err := master.ParseDigest(decision.Image.Digest)
		if err != nil {
			continue
		}
		for sum := range frames(p.manifests[d]) {
			if holders[sum]--; holders[sum] == 0 {
				decision.FreesBytes += chunks[sum].sizeBytes
			}
		}
		decision.Why = fmt.Sprintf("no channel points to it and no server has it: %s free", inventory.FormatBytes(decision.FreesBytes))
	}
	return nil
}

// frames are the names of a manifest's chunks; nil has none.
func frames(m *master.Manifest) map[master.Digest]bool {
	all := map[master.Digest]bool{}
	if m != nil {
		for _, c := range m.Chunks {
			all[c.Name()] = true
		}
	}
	return all
}

// reasons are those to keep images, by digest; the strongest each.
func (s *Share) reasons(ctx context.Context) (map[string]string, error) {
	reasons := map[string]string{}
	because := func(digest, why string) {
		if reasons[digest] == "" {
			reasons[digest] = why
		}
	}
	servers, err := s.servers(ctx)
	if err != nil {
		return nil, err
	}
	names, err := s.names(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]channels{}
	for name := range names {
		if all[name], err = s.readChannels(ctx, name); err != nil {
			return nil, err
		}
		for _, p := range all[name].Channels {
			because(p.Digest, fmt.Sprintf("channel %s:%s points to it", name, p.Channel))
		}
	}
	for _, r := range servers {
		if s.Now().Sub(r.At) > s.Forget {
			continue
		}
		for _, h := range r.Images {
			because(h.Digest, fmt.Sprintf("server %s: %s", r.Name, h.Why))
		}
	}
	for name, c := range all {
		for _, p := range c.Channels {
			for _, digest := range c.recent(p.Channel, s.Retention.KeepPerChannel) {
				because(digest, fmt.Sprintf("one of the last %d of channel %s:%s", s.Retention.KeepPerChannel, name, p.Channel))
			}
		}
	}
	return reasons, nil
}

// recent are the last images that a channel pointed to.
func (c channels) recent(channel string, count int) (recent []string) {
	for _, m := range slices.Backward(c.Moves) {
		if len(recent) >= count {
			break
		}
		if m.Channel == channel && !slices.Contains(recent, m.Digest) {
			recent = append(recent, m.Digest)
		}
	}
	return recent
}
