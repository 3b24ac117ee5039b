package guestrun

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"ingot/inventory"
)

// Overlay is a qcow2 file over a disk image that stays as it is. Its methods take ranges
// of whole 512-byte sectors and start a process each: they are for partition tables and
// seeds, before the machine runs.
type Overlay struct {
	// Path is the file; SizeBytes the size of its disk.
	Path      string
	SizeBytes int64
	run       func(name string, args ...string) ([]byte, error)
}

// sectorBytes is what ranges are multiples of.
const sectorBytes = 512

// NewOverlay makes the overlay at path. format is the base's: raw or qcow2; others are
// inventory.ErrInvalid, as is a base that itself needs another file. sizeBytes may be
// larger than the base; 0 is the base's size. Reads and writes end with ctx.
func NewOverlay(ctx context.Context, path, base, format string, sizeBytes int64) (*Overlay, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, err
	}
	size, err := checkBase(ctx, base, format)
	if err != nil {
		return nil, fmt.Errorf("make overlay over %s: %w", base, err)
	}
	if sizeBytes == 0 {
		sizeBytes = size
	}
	if sizeBytes < size || sizeBytes%sectorBytes != 0 {
		return nil, inventory.Invalid("make overlay over %s: %d bytes for an image of %d: give a multiple of 512 that is not smaller", base, sizeBytes, size)
	}
	run := func(name string, args ...string) ([]byte, error) { return tool(ctx, filepath.Dir(path), name, args...) }
	if _, err := run("qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", base, path, strconv.FormatInt(sizeBytes, 10)); err != nil {
		return nil, fmt.Errorf("make overlay over %s: %w", base, err)
	}
	return &Overlay{Path: path, SizeBytes: sizeBytes, run: run}, nil
}

// checkBase returns the size of the disk in a base. A qcow2 file names other files that
// QEMU would open: it must have none.
func checkBase(ctx context.Context, base, format string) (int64, error) {
	if format != "raw" && format != "qcow2" {
		return 0, inventory.Invalid("format %q: want raw or qcow2; import the image first, or convert it with qemu-img", format)
	}
	if _, err := os.Stat(base); err != nil {
		return 0, err
	}
	// The limits are for a file that others made.
	out, err := tool(ctx, "/", "prlimit", "--as=4294967296", "--cpu=60", "--", "qemu-img", "info", "--output=json", "-f", format, base)
	if err != nil {
		return 0, err
	}
	var info struct {
		VirtualSize int64  `json:"virtual-size"`
		Backing     string `json:"backing-filename"`
		FullBacking string `json:"full-backing-filename"`
		Specific    struct {
			Data struct {
				DataFile string `json:"data-file"`
			} `json:"data"`
		} `json:"format-specific"`
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return 0, fmt.Errorf("read qemu-img info: %w", err)
	}
	if info.Backing != "" || info.FullBacking != "" || info.Specific.Data.DataFile != "" {
		return 0, inventory.Invalid("the qcow2 file needs another file: flatten it first (qemu-img convert)")
	}
	return info.VirtualSize, nil
}

// ReadAt implements io.ReaderAt.
func (o *Overlay) ReadAt(p []byte, offset int64) (int, error) {
	if err := o.check(p, offset); err != nil {
		return 0, err
	}
	part := o.Path + ".part"
	defer os.Remove(part)
	// Not "qemu-img dd", whose count includes what is skipped in some versions.
	window := fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=qcow2,file.file.driver=file,file.file.filename=%s", offset, len(p), filepath.Base(o.Path))
	_, err := o.run("qemu-img", "convert", "--image-opts", "-O", "raw", window, part)
	if err != nil {
		return 0, err
	}
	data, err := os.ReadFile(part)
	if err != nil {
		return 0, err
	}
	if len(data) != len(p) {
		return 0, fmt.Errorf("read overlay at %d: %d bytes, want %d", offset, len(data), len(p))
	}
	return copy(p, data), nil
}

// WriteAt implements io.WriterAt.
func (o *Overlay) WriteAt(p []byte, offset int64) (int, error) {
	if err := o.check(p, offset); err != nil {
		return 0, err
	}
	part := o.Path + ".part"
	defer os.Remove(part)
	if err := os.WriteFile(part, p, 0o600); err != nil {
		return 0, err
	}
	command := fmt.Sprintf("write -q -s %s %d %d", filepath.Base(part), offset, len(p))
	if _, err := o.run("qemu-io", "-f", "qcow2", "-c", command, o.Path); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (o *Overlay) check(p []byte, offset int64) error {
	if offset < 0 || offset%sectorBytes != 0 || len(p)%sectorBytes != 0 || offset+int64(len(p)) > o.SizeBytes {
		return fmt.Errorf("overlay: %d bytes at %d are not whole sectors of its %d bytes", len(p), offset, o.SizeBytes)
	}
	return nil
}
