package bucket

import (
	"bytes"
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

// pushChunks puts the chunks that the bucket lacks, or has with a length that none can have.
func (s *Share) pushChunks(ctx context.Context, m *images.Master) error {
	have, err := s.listChunks(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, c := range m.Manifest.Chunks {
		if o, ok := have[c.Name()]; ok && o.sizeBytes > 0 && o.sizeBytes <= c.MaxFrameBytes() {
			continue
		}
		have[c.Name()] = object{sizeBytes: c.Length}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			frame, err := m.Frame(i)
			if err != nil {
				return err
			}
			return s.putChunk(ctx, c.Name(), frame)
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

func (s *Share) getChunk(ctx context.Context, c master.Chunk) ([]byte, error) {
	frame, _, err := s.objects.get(ctx, chunkKey(c.Name()), c.MaxFrameBytes())
	if err != nil {
		if errors.Is(err, inventory.ErrInvalid) || errors.Is(err, inventory.ErrNotFound) {
			err = errors.Join(err, s.complain(ctx, c.Name()))
		}
		return nil, err
	}
	s.Stats.PulledBytes.Add(int64(len(frame)))
	return frame, nil
}
