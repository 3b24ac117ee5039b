package bucket

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// Collect removes the images that a plan gave up and that nothing needs by now, and every
// chunk that no manifest has. It returns how many bytes of chunks went. It is
// inventory.ErrBusy while another server collects.
func (s *Share) Collect(ctx context.Context, plan []images.Decision) (freed int64, err error) {
	if err := s.collecting.enter(ctx); err != nil {
		return 0, err
	}
	defer s.collecting.leave()
	err = s.begin(ctx)
	if err == nil {
		freed, err = s.collect(ctx, plan)
		err = errors.Join(err, s.end(ctx))
	}
	if err != nil {
		return freed, fmt.Errorf("collect in %s: %w", s.objects, err)
	}
	if freed > 0 {
		s.Log.Info("bucket collected", "bytes", freed)
	}
	return freed, nil
}

func (s *Share) collect(ctx context.Context, plan []images.Decision) (freed int64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, collectTime-clockSlack,
		fmt.Errorf("it took longer than %s: the rest goes with the next collection: %w", collectTime-clockSlack, inventory.ErrBusy))
	defer cancel()
	now, err := s.survey(ctx)
	if err != nil {
		return 0, err
	}
	for _, decision := range now.decisions {
		goes := slices.ContainsFunc(plan, func(d images.Decision) bool { return d.Image.Digest == decision.Image.Digest && !d.Keep })
		if decision.Keep || !goes {
			continue
		}
		d, err := master.ParseDigest(decision.Image.Digest)
		if err == nil {
			err = s.removeImage(ctx, now.keys[d])
		}
		if err != nil {
			return 0, err
		}
		delete(now.manifests, d)
	}
	if freed, err = s.collectChunks(ctx, now.manifests); err != nil {
		return freed, err
	}
	return freed, s.forgetDamaged(ctx, now.manifests)
}

// forgetDamaged removes the complaints about chunks that no image has any more.
func (s *Share) forgetDamaged(ctx context.Context, manifests map[master.Digest]*master.Manifest) error {
	used := usedBy(manifests)
	for o, err := range s.objects.list(ctx, damagedFolder) {
		if err != nil {
			return err
		}
		if d, ok := digestOf(o.key); ok && !used[d] {
			if err := s.objects.remove(ctx, o.key); err != nil {
				return err
			}
		}
	}
	return nil
}

func usedBy(manifests map[master.Digest]*master.Manifest) map[master.Digest]bool {
	used := map[master.Digest]bool{}
	for _, m := range manifests {
		for sum := range frames(m) {
			used[sum] = true
		}
	}
	return used
}

// removeImage removes the objects of an image: image.json first, so that nobody sees half
// of it, and the manifest last, which says what chunks there are to look for.
func (s *Share) removeImage(ctx context.Context, keys []string) error {
	rank := func(key string) int {
		switch {
		case strings.HasSuffix(key, "/"+imageName):
			return 0
		case strings.HasSuffix(key, "/"+manifestName):
			return 2
		}
		return 1
	}
	for step := range 3 {
		var now []string
		for _, key := range keys {
			if rank(key) == step {
				now = append(now, key)
			}
		}
		if len(now) == 0 {
			continue
		}
		if err := s.objects.removeAll(ctx, now); err != nil {
			return err
		}
	}
	return nil
}

// batch is how many chunks go at a time: as many as one request takes.
const batch = 1000

// collectChunks removes the chunks that none of the manifests has.
func (s *Share) collectChunks(ctx context.Context, manifests map[master.Digest]*master.Manifest) (freed int64, err error) {
	used := usedBy(manifests)
	all, err := s.listChunks(ctx)
	if err != nil {
		return 0, err
	}
	var loose []object
	for d, o := range all {
		if !used[d] {
			loose = append(loose, o)
		}
	}
	for some := range slices.Chunk(loose, batch) {
		if ctx.Err() != nil {
			return freed, context.Cause(ctx)
		}
		var keys []string
		for _, o := range some {
			keys = append(keys, o.key)
		}
		if err := s.objects.removeAll(ctx, keys); err != nil {
			return freed, err
		}
		for _, o := range some {
			freed += o.sizeBytes
		}
	}
	return freed, nil
}
