package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"ingot/images/master"
	"ingot/inventory"
)

// source is a disk that is brought in: one that can be read anywhere, or one that comes
// in order.
type source struct {
	disk      io.ReaderAt
	sizeBytes int64
	stream    *unpacker // nil when disk is there

	closers []func() error
}

func (s *source) close() error {
	var err error
	for _, c := range slices.Backward(s.closers) {
		err = errors.Join(err, c())
	}
	s.closers = nil
	return err
}

// openSource finds out what a file is, checks it, and opens its disk. What has to be
// unpacked first goes into the staging folder.
func openSource(ctx context.Context, st *staging, path string, o *ImportOptions) (*source, error) {
	if o.Origin == "" {
		o.Origin = "import of " + shown(path)
	}
	if isURL(path) {
		file := st.path("download")
		if err := (download{progress: func(done, total int64) { o.report("download", done, total) }}).fetch(ctx, path, file, o.SHA256); err != nil {
			return nil, err
		}
		path, o.SHA256 = file, master.Digest{}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	src := &source{closers: []func() error{f.Close}}
	if err := src.open(ctx, st, f, o); err != nil {
		return nil, errors.Join(err, src.close())
	}
	return src, nil
}

// shown is a path or URL as people may see it: without credentials.
func shown(path string) string {
	if isURL(path) {
		return publicURL(path)
	}
	return filepath.Base(path)
}

func (s *source) open(ctx context.Context, st *staging, f *os.File, o *ImportOptions) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return inventory.Invalid("it is no regular file")
	}
	if info.Size() == 0 {
		return inventory.Invalid("it is empty")
	}
	if !o.SHA256.IsZero() {
		got, err := hashFile(ctx, f, info.Size(), *o)
		if err != nil {
			return err
		}
		if got != o.SHA256 {
			return inventory.Invalid("its SHA-256 is %s, want %s: it was changed or cut short on the way", got, o.SHA256)
		}
	}
	head, err := readHead(f)
	if err != nil {
		return err
	}
	if wrap := compressionOf(head); wrap != "" {
		return s.openCompressed(ctx, st, f, info.Size(), wrap, o)
	}
	format := o.Format
	if format == "" {
		if format, err = detect(head); err != nil {
			return err
		}
	}
	return s.openFormat(ctx, st, f, format, *o)
}

func readHead(r io.ReaderAt) ([]byte, error) {
	head := make([]byte, headBytes)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	return head[:n], nil
}

// openFormat opens a file of a disk format.
func (s *source) openFormat(ctx context.Context, st *staging, f *os.File, format Format, o ImportOptions) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head, err := readHead(f)
	if err != nil {
		return err
	}
	if err := checkHead(format, f, head); err != nil {
		return err
	}
	switch format {
	case FormatRaw:
		s.disk, s.sizeBytes = f, info.Size()
		return nil
	case FormatZstd:
		return inventory.Invalid("the file is not compressed with zstd")
	case FormatOVA:
		disk, err := extractOVA(ctx, f, st.path("ova.vmdk"))
		if err != nil {
			return err
		}
		s.closers = append(s.closers, disk.Close)
		return s.openFormat(ctx, st, disk, FormatVMDK, o)
	case FormatQcow2:
		q, err := openQcow2(f, info.Size())
		if err == nil {
			s.disk, s.sizeBytes = q, q.size
			return nil
		}
		if !errors.Is(err, errQcow2Feature) {
			return err
		}
	case FormatVMDK, FormatVHDX:
	default:
		return inventory.Invalid("image format %q (want raw, raw.zst, qcow2, vmdk, vhdx or ova)", format)
	}
	return s.convert(ctx, st, f, format, o)
}

// convert has qemu-img unpack a format that this package does not read.
func (s *source) convert(ctx context.Context, st *staging, f *os.File, format Format, o ImportOptions) error {
	path, err := filepath.Abs(f.Name())
	if err != nil {
		return err
	}
	o.report("convert", 0, 0)
	raw := st.path("raw")
	if err := convert(ctx, format, path, raw, o.maxBytes()); err != nil {
		return err
	}
	disk, err := os.Open(raw)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, disk.Close)
	info, err := disk.Stat()
	if err != nil {
		return err
	}
	s.disk, s.sizeBytes = disk, info.Size()
	return nil
}

// openCompressed opens the disk in a compressed file: a raw one is read as it is
// unpacked, others need a file.
func (s *source) openCompressed(ctx context.Context, st *staging, f *os.File, sizeBytes int64, wrap compression, o *ImportOptions) error {
	if o.MaxBytes <= 0 {
		o.MaxBytes = min(defaultMaxBytes, 8<<30+100*sizeBytes)
	}
	if claimed, ok := claimedBytes(f, sizeBytes, wrap); ok && claimed > o.maxBytes() {
		return tooLarge(claimed, o.maxBytes())
	}
	inner, err := newUnpacker(ctx, f, wrap)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, inner.Close)
	head, err := inner.peek(headBytes)
	if err != nil {
		return err
	}
	format := o.Format
	switch {
	case compressionOf(head) != "":
		return inventory.Invalid("the file is compressed twice: decompress it first")
	case format == "":
		if format, err = detect(head); err != nil {
			return fmt.Errorf("inside %s: %w", wrap, err)
		}
	}
	if format == FormatRaw || format == FormatZstd {
		s.stream = inner
		return nil
	}
	if format == FormatQcow2 { // before gigabytes are unpacked
		if err := checkQcow2(head); err != nil {
			return err
		}
	}
	o.report("convert", 0, 0)
	file, err := os.OpenFile(st.path("unpacked"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, file.Close)
	if err := inner.unpackTo(file, o.maxBytes()); err != nil {
		return err
	}
	return s.openFormat(ctx, st, file, format, *o)
}
