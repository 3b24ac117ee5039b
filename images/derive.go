package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	if _, ok := convertOptions[format]; !ok {
		return Derived{}, inventory.Invalid("image format %q (want qcow2, vmdk or vhdx)", format)
	}
	m, err := s.Open(digest)
	if err != nil {
		return Derived{}, err
	}
	defer m.Close()
	done, err := s.deriving.enter(ctx, digest+string(format))
	if err != nil {
		return Derived{}, err
	}
	defer done()
	dir := s.derived(digest, format)
	d, err := readDerived(dir)
	if errors.Is(err, fs.ErrNotExist) {
		d, err = s.derive(ctx, m, dir, format)
	}
	if err != nil {
		return d, fmt.Errorf("make %s of image %s: %w", format, digest, err)
	}
	return d, nil
}

func (s *Store) derived(digest string, format Format) string {
	return filepath.Join(s.dir, "derived", digest[len("sha256:"):]+"."+string(format))
}

const derivedName = "derived.json"

func readDerived(dir string) (Derived, error) {
	var d Derived
	text, err := os.ReadFile(filepath.Join(dir, derivedName))
	if err != nil {
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

func (s *Store) derive(ctx context.Context, m *Master, dir string, format Format) (d Derived, err error) {
	st, err := s.newStaging()
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, st.discard()) }()
	raw, out := st.path("raw"), st.path("out")
	if err := os.Mkdir(out, 0o755); err != nil {
		return d, err
	}
	if err := unpack(ctx, m, raw); err != nil {
		return d, err
	}
	disk := filepath.Join(out, "disk")
	if err := export(ctx, format, raw, disk, m.Manifest.LogicalBytes); err != nil {
		return d, err
	}
	if d, err = hashDerived(ctx, disk, format); err != nil {
		return d, err
	}
	return s.keepDerived(out, dir, d)
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

// keepDerived makes the folder part of the store; one that another process made first
// stays.
func (s *Store) keepDerived(out, dir string, d Derived) (Derived, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return d, err
	}
	if err := errors.Join(writeSynced(filepath.Join(out, derivedName), text), syncDir(out)); err != nil {
		return d, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Rename(out, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return d, err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return d, err
	}
	return readDerived(dir)
}
