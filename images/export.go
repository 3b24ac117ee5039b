package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ingot/images/master"
	"ingot/inventory"
)

// ExportOptions says how an image is written to a file.
type ExportOptions struct {
	// Overwrite replaces a file that is there.
	Overwrite bool
	// Progress counts bytes of the file; it is called from one goroutine and may be nil.
	Progress func(doneBytes, totalBytes int64)
}

// Export writes an image to a file as raw (sparse), raw.zst (the data file: zstd -d gives
// the raw disk), qcow2, vmdk, vhdx or ova. The file appears whole or not at all; an
// existing one is inventory.ErrConflict unless it may be overwritten.
func (s *Store) Export(ctx context.Context, digest string, format Format, path string, o ExportOptions) error {
	err := s.export(ctx, digest, format, path, o)
	if err != nil {
		return fmt.Errorf("export image %s to %s: %w", digest, path, err)
	}
	return nil
}

func (s *Store) export(ctx context.Context, digest string, format Format, path string, o ExportOptions) (err error) {
	if path == "" || path == "-" {
		return inventory.Invalid("name a file: there is no export to the standard output")
	}
	write, err := s.exporter(digest, format, o)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil && !o.Overwrite {
		return inventory.Conflict("%s is there already: remove it or ask to overwrite it", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := exportFile(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
		err = errors.Join(err, f.Close())
	}()
	if err := write(ctx, f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := place(f.Name(), path, o.Overwrite); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// exportFile makes the file beside path that is written first. Its name is always the
// same, so that the remains of an export that was killed are used again.
func exportFile(path string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".ingot-export")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("another export to this file runs: %w", inventory.ErrBusy)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// place gives a file its name (renameat2(2)).
func place(from, to string, overwrite bool) error {
	if overwrite {
		return os.Rename(from, to)
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // a file system without it
		if err = os.Link(from, to); err == nil {
			err = os.Remove(from)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return inventory.Conflict("%s appeared meanwhile", to)
	}
	return err
}

// exporter returns what writes a format into an empty file.
func (s *Store) exporter(digest string, format Format, o ExportOptions) (func(context.Context, *os.File) error, error) {
	switch format {
	case FormatRaw:
		return func(ctx context.Context, f *os.File) error {
			return s.withMaster(digest, func(m *Master) error { return exportRaw(ctx, m, f, o) })
		}, nil
	case FormatZstd:
		return func(ctx context.Context, f *os.File) error {
			if err := s.Compress(ctx, nil); err != nil { // the frames go as they are stored
				return err
			}
			return s.withMaster(digest, func(m *Master) error { return exportData(ctx, m, f, o) })
		}, nil
	case FormatQcow2, FormatVMDK, FormatVHDX:
		return func(ctx context.Context, f *os.File) error { return s.exportDerived(ctx, digest, format, f, o) }, nil
	case FormatOVA:
		return func(ctx context.Context, f *os.File) error { return s.exportOVA(ctx, digest, f, o) }, nil
	}
	return nil, inventory.Invalid("format %q (want raw, raw.zst, qcow2, vmdk, vhdx or ova)", format)
}

func (s *Store) withMaster(digest string, use func(*Master) error) error {
	m, err := s.Open(digest)
	if err != nil {
		return err
	}
	return errors.Join(use(m), m.Close())
}

func exportRaw(ctx context.Context, m *Master, f *os.File, o ExportOptions) error {
	if err := f.Truncate(m.Manifest.LogicalBytes); err != nil {
		return err
	}
	target, err := master.OpenDevice(f.Name())
	if err != nil {
		return err
	}
	apply := master.ApplyOptions{}
	if o.Progress != nil {
		apply.Progress = func(p master.Progress) { o.Progress(p.DoneBytes, p.TotalBytes) }
	}
	_, err = m.Apply(ctx, target, apply)
	return errors.Join(err, target.Close())
}

func exportData(ctx context.Context, m *Master, f *os.File, o ExportOptions) error {
	return copyCounted(ctx, f, &checkedReader{data: m.Data}, m.Data.Size(), o)
}

// exportDerived copies a derived file, and checks that it is still what was made.
func (s *Store) exportDerived(ctx context.Context, digest string, format Format, f *os.File, o ExportOptions) error {
	d, err := s.Derive(ctx, digest, format)
	if err != nil {
		return err
	}
	if err := copyDerived(ctx, f, d, o); err != nil {
		return err
	}
	if format == FormatVHDX {
		return fillHoles(f.Name())
	}
	return nil
}

func copyDerived(ctx context.Context, w io.Writer, d Derived, o ExportOptions) error {
	in, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	sum := sha256.New()
	if err := copyCounted(ctx, io.MultiWriter(w, sum), in, d.SizeBytes, o); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != d.SHA256 {
		return fmt.Errorf("%s was damaged: its SHA-256 is %s, was %s: remove %s, it is made again", d.Path, got, d.SHA256, filepath.Dir(d.Path))
	}
	return nil
}

func copyCounted(ctx context.Context, w io.Writer, r io.Reader, total int64, o ExportOptions) error {
	for done := int64(0); done < total; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(w, r, min(4<<20, total-done))
		if done += n; err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(done, total)
		}
	}
	return nil
}
