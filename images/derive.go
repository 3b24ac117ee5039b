package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"ingot/images/master"
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

// convertOptions are qemu-img's for each format that can be derived.
//
// qcow2 1.1 is what linked clones and live resizing need. ESXi takes no vmdk but
// streamOptimized, and no adapter type but a SCSI one for it (QEMU's default is ide).
// VHDX in blocks of 1 MiB takes three quarters of the room of the default for ext4.
var convertOptions = map[Format]string{
	FormatQcow2: "compat=1.1",
	FormatVMDK:  "subformat=streamOptimized,adapter_type=lsilogic,hwversion=13",
	FormatVHDX:  "subformat=dynamic,block_size=1048576",
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

func (s *Store) derived(digest string, format Format) string {
	return filepath.Join(s.allDerived(), digest[len("sha256:"):]+"."+string(format))
}

const derivedName = "derived.json"

// readDerived reads what is there, and notes when: see [Store.SetQuota].
func (s *Store) readDerived(dir string) (Derived, error) {
	var d Derived
	text, err := os.ReadFile(filepath.Join(dir, derivedName))
	if err != nil {
		return d, err
	}
	if err := os.Chtimes(filepath.Join(dir, derivedName), s.now(), s.now()); err != nil {
		return d, err
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("read %s: %w", filepath.Join(dir, derivedName), err)
	}
	d.Path = filepath.Join(dir, "disk")
	info, err := os.Stat(d.Path)
	if err == nil && info.Size() != d.SizeBytes {
		err = fmt.Errorf("%s has %d bytes, had %d: remove %s", d.Path, info.Size(), d.SizeBytes, dir)
	}
	return d, err
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

// unpack writes the master as a sparse raw file.
func unpack(ctx context.Context, m *Master, raw string) error {
	target, err := master.CreateFile(raw, m.Manifest.LogicalBytes)
	if err != nil {
		return err
	}
	_, err = master.Apply(ctx, m.Manifest, m.Source(), target, master.ApplyOptions{})
	return errors.Join(err, target.Close())
}

// export converts and compares what came out with what went in.
func export(ctx context.Context, format Format, raw, disk string, sizeBytes int64) error {
	limit := sizeBytes + sizeBytes/8 + 64<<20 // tables and headers of an incompressible disk
	if _, err := qemuImg(ctx, limit, "convert", "-f", "raw", "-O", string(format), "-o", convertOptions[format], raw, disk); err != nil {
		return err
	}
	if format == FormatVHDX {
		if err := fillHoles(disk); err != nil {
			return err
		}
	}
	_, err := qemuImg(ctx, limit, "compare", "-f", "raw", "-F", string(format), raw, disk)
	return err
}

func hashDerived(ctx context.Context, path string, format Format) (Derived, error) {
	f, err := os.Open(path)
	if err != nil {
		return Derived{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Derived{}, err
	}
	sum, err := hashFile(ctx, f, info.Size(), ImportOptions{})
	return Derived{Format: format, SizeBytes: info.Size(), SHA256: sum.Hex(), Path: path}, errors.Join(err, f.Sync())
}

// fillHoles gives every block of a file room on the disk: Hyper-V refuses a sparse file.
func fillHoles(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		err = unix.Fallocate(int(f.Fd()), 0, 0, info.Size())
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = rewrite(f, info.Size())
	}
	return errors.Join(err, f.Close())
}

// rewrite writes what is in the file, zeros of holes too.
func rewrite(f *os.File, sizeBytes int64) error {
	buf := make([]byte, 1<<20)
	for at := int64(0); at < sizeBytes; at += int64(len(buf)) {
		part := buf[:min(int64(len(buf)), sizeBytes-at)]
		if _, err := f.ReadAt(part, at); err != nil {
			return err
		}
		if _, err := f.WriteAt(part, at); err != nil {
			return err
		}
	}
	return nil
}

// keepDerived makes the folder part of the store; one that another process made first
// stays, unless it is broken. Nothing is kept of an image that was deleted meanwhile.
func (s *Store) keepDerived(ctx context.Context, out, dir string, d Derived) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := errors.Join(writeSynced(filepath.Join(out, derivedName), text), syncDir(out)); err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		hex, _, _ := strings.Cut(filepath.Base(dir), ".")
		if _, err := os.Stat(filepath.Join(s.blobs(), hex)); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = inventory.NotFound("image", hex)
			}
			return err
		}
		if _, err := s.readDerived(dir); err == nil {
			return nil
		}
		if err := errors.Join(s.removeDerived(dir), os.Rename(out, dir)); err != nil {
			return err
		}
		return syncDir(filepath.Dir(dir))
	})
}
