package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"ingot/inventory"
)

// Derived is an image in the format of a hypervisor: a file that was made once from the
// master and compared with it.
type Derived struct {
	Format    Format `json:"format"`
	SizeBytes int64  `json:"sizeBytes"`
	// SHA256 is of the file, in hex.
	SHA256 string `json:"sha256"`
	// Path is where it is; it is gone when the image is deleted.
	Path string `json:"-"`
}

// Derive returns an image in a format, and makes it if it is not there: the master is
// unpacked, converted, read back and compared. Two callers wait for one conversion. A
// format that no hypervisor takes is inventory.ErrInvalid.
func (s *Store) Derive(ctx context.Context, digest string, format Format) (Derived, error) {
	all, err := s.DeriveAll(ctx, digest, format)
	if err != nil {
		return Derived{}, err
	}
	return all[0], nil
}

// DeriveAll is Derive for several formats, in their order: what is missing is made from
// one unpacking, side by side.
func (s *Store) DeriveAll(ctx context.Context, digest string, formats ...Format) ([]Derived, error) {
	for _, format := range formats {
		if _, ok := convertOptions[format]; !ok {
			return nil, inventory.Invalid("image format %q (want qcow2, vmdk or vhdx)", format)
		}
	}
	m, err := s.Open(digest)
	if err != nil {
		return nil, err
	}
	for _, format := range formats {
		if err := sayable(m.Manifest, format); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	all, err := s.deriveInTurn(ctx, m, digest, formats)
	if err := errors.Join(err, m.Close()); err != nil {
		return nil, fmt.Errorf("make %v of image %s: %w", formats, digest, err)
	}
	return all, nil
}

func (s *Store) deriveInTurn(ctx context.Context, m *Master, digest string, formats []Format) ([]Derived, error) {
	done, err := s.deriving.enter(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer done()
	all := make([]Derived, len(formats))
	var missing []Format
	for i, format := range formats {
		all[i], err = s.readDerived(s.derived(digest, format))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if !slices.Contains(missing, format) {
				missing = append(missing, format)
			}
		case err != nil:
			return nil, err
		}
	}
	if len(missing) == 0 {
		return all, nil
	}
	if err := s.guard(ctx, func(ctx context.Context) error { return s.derive(ctx, m, digest, missing) }); err != nil {
		return nil, err
	}
	for i, format := range formats {
		if all[i], err = s.readDerived(s.derived(digest, format)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *Store) derive(ctx context.Context, m *Master, digest string, formats []Format) (err error) {
	st, err := s.newStaging(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.discard()) }()
	raw := st.path("raw")
	if err := unpack(ctx, m, raw); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, format := range formats {
		group.Go(func() error {
			out := st.path(string(format))
			if err := os.Mkdir(out, 0o755); err != nil {
				return err
			}
			disk := filepath.Join(out, "disk")
			if err := export(ctx, format, raw, disk, m.Manifest.LogicalBytes); err != nil {
				return err
			}
			d, err := hashDerived(ctx, disk, format)
			if err != nil {
				return err
			}
			return s.keepDerived(ctx, out, s.derived(digest, format), d)
		})
	}
	return group.Wait()
}
