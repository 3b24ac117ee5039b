package bucket

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	"ingot/images/master"
	"ingot/inventory"
)

func has(folder fs.FS, name string) bool {
	_, err := fs.Stat(folder, name)
	return err == nil
}

// complain notes that a chunk in the bucket is damaged or missing, so that a server which
// has it puts it there anew.
func (s *Share) complain(ctx context.Context, d master.Digest) error {
	return s.objects.put(ctx, damagedFolder+d.Hex(), bytes.NewReader([]byte(s.Server)), int64(len(s.Server)))
}

// mend puts the chunks anew that others found damaged and that this store has.
func (s *Share) mend(ctx context.Context) error {
	wanted := map[master.Digest]string{}
	for o, err := range s.objects.list(ctx, damagedFolder) {
		if err != nil {
			return err
		}
		if d, ok := digestOf(o.key); ok {
			wanted[d] = o.key
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	if err := s.Store.Compress(ctx, nil); err != nil { // its frames go as they are stored
		return err
	}
	list, err := s.Store.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, image := range list {
		errs = append(errs, s.mendFrom(ctx, image.Digest, wanted))
	}
	return errors.Join(errs...)
}

func (s *Share) mendFrom(ctx context.Context, digest string, wanted map[master.Digest]string) (err error) {
	m, err := s.Store.Open(digest)
	if err != nil {
		if errors.Is(err, inventory.ErrNotFound) {
			err = nil
		}
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	for i, c := range m.Manifest.Chunks {
		key, ok := wanted[c.Name()]
		if !ok {
			continue
		}
		frame, err := m.Frame(i)
		if err != nil {
			return err
		}
		if err := errors.Join(s.putChunk(ctx, c.Name(), frame), s.objects.remove(ctx, key)); err != nil {
			return err
		}
		delete(wanted, c.Name())
		s.Log.Warn("a damaged chunk in the bucket was put anew", "chunk", c.Name().String(), "image", digest)
	}
	return nil
}
