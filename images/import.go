package images

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"ingot/images/master"
	"ingot/inventory"
)

// ImportOptions describes an image that is brought in. Name and Traits are required.
type ImportOptions struct {
	// Name and Version name the image; Version is for people and may be empty.
	Name, Version string
	// Format is the file's; empty is found from its first bytes.
	Format Format
	// SHA256 is what the file must hash to; the zero value checks nothing.
	SHA256 master.Digest
	// Traits is what the image can do.
	master.Traits
	// RecipeDigest is the recipe it was built from; zero for none.
	RecipeDigest master.Digest
	// Channels are moved to the image once it is stored.
	Channels []string
	// Level is the zstd level, 0 for the default.
	Level int
	// Progress is called from one goroutine at a time; nil is allowed.
	Progress func(ImportProgress)
}

// ImportProgress counts what an import did in its step.
type ImportProgress struct {
	// Step is "check", "convert" or "compress".
	Step string
	// DoneBytes of TotalBytes; TotalBytes is 0 when not known.
	DoneBytes, TotalBytes int64
}

func (o ImportOptions) report(step string, done, total int64) {
	if o.Progress != nil {
		o.Progress(ImportProgress{step, done, total})
	}
}

// Import brings a disk file into the store: raw, zstd-compressed raw, qcow2, vmdk
// or vhdx. An image that is there already under the same name is returned as it
// is. It errors with inventory.ErrInvalid when the file is damaged, cut short, has
// another hash than told, or needs other files; nothing is left behind then, nor
// when the disk is full.
func (s *Store) Import(ctx context.Context, path string, o ImportOptions) (image inventory.Image, err error) {
	if err := inventory.CheckImageName(o.Name); err != nil {
		return image, err
	}
	st, err := s.newStaging()
	if err != nil {
		return image, fmt.Errorf("import image %s: %w", o.Name, err)
	}
	defer func() { err = errors.Join(err, st.discard()) }()
	image, err = s.importStaged(ctx, st, path, o)
	if errors.Is(err, unix.ENOSPC) {
		return image, fmt.Errorf("import image %s: the disk that holds %s is full; nothing was kept: free some space and try again: %w", o.Name, s.dir, err)
	}
	if err != nil {
		return image, fmt.Errorf("import image %s from %s: %w", o.Name, path, err)
	}
	for _, channel := range o.Channels {
		if _, err := s.MoveChannel(ctx, o.Name, channel, image.Digest); err != nil {
			return image, err
		}
	}
	return image, nil
}

func (s *Store) importStaged(ctx context.Context, st *staging, path string, o ImportOptions) (inventory.Image, error) {
	raw, err := openRaw(ctx, st, path, o)
	if err != nil {
		return inventory.Image{}, err
	}
	defer raw.Close()
	info, err := raw.Stat()
	if err != nil {
		return inventory.Image{}, err
	}
	if err := checkRaw(raw, info.Size(), o.Traits); err != nil {
		return inventory.Image{}, err
	}
	manifest, err := pack(ctx, st, raw, info.Size(), o)
	if err != nil {
		return inventory.Image{}, err
	}
	document, err := manifest.Document()
	if err != nil {
		return inventory.Image{}, err
	}
	return s.publish(st, describe(manifest, master.DigestOf(document), o, s.now()), document)
}

// describe writes the image's document.
func describe(m *master.Manifest, digest master.Digest, o ImportOptions, now time.Time) inventory.Image {
	image := inventory.Image{
		Name: o.Name, Digest: digest.String(), Version: o.Version,
		SizeBytes: m.LogicalBytes, StoredBytes: m.DataBytes, LogicalSectorBytes: m.SectorBytes,
		FirstBoot: string(m.FirstBoot), GrowPartition: m.GrowPartition, Created: now.UTC().Truncate(time.Second),
	}
	for _, mode := range m.BootModes {
		image.BootModes = append(image.BootModes, string(mode))
	}
	if !o.RecipeDigest.IsZero() {
		image.RecipeDigest = o.RecipeDigest.String()
	}
	return image
}

// openRaw checks the file and returns its disk as a raw file: the file itself, or
// one in the staging folder.
func openRaw(ctx context.Context, st *staging, path string, o ImportOptions) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	format, err := inspect(ctx, f, &o)
	if err != nil || format == FormatRaw {
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	defer f.Close()
	raw := st.path("raw")
	o.report("convert", 0, 0)
	if format == FormatZstd {
		err = decompress(ctx, f, raw, o)
	} else {
		var absolute string
		if absolute, err = filepath.Abs(path); err == nil {
			err = convert(ctx, format, absolute, raw)
		}
	}
	if err != nil {
		return nil, err
	}
	return os.Open(raw)
}

// inspect finds the format, checks the header and the whole file's hash.
func inspect(ctx context.Context, f *os.File, o *ImportOptions) (Format, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", inventory.Invalid("it is no regular file")
	}
	head := make([]byte, headBytes)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	format := o.Format
	if format == "" {
		if format, err = detect(head[:n]); err != nil {
			return "", err
		}
	}
	if err := checkHead(format, f, head[:n]); err != nil {
		return "", err
	}
	if o.SHA256.IsZero() {
		return format, nil
	}
	got, err := hashFile(ctx, f, info.Size(), *o)
	if err == nil && got != o.SHA256 {
		err = inventory.Invalid("its SHA-256 is %s, want %s: it was changed or cut short on the way", got, o.SHA256)
	}
	return format, err
}

func hashFile(ctx context.Context, f *os.File, sizeBytes int64, o ImportOptions) (master.Digest, error) {
	h := sha256.New()
	for at := int64(0); at < sizeBytes; at += 16 << 20 {
		if err := ctx.Err(); err != nil {
			return master.Digest{}, err
		}
		if _, err := io.Copy(h, io.NewSectionReader(f, at, min(16<<20, sizeBytes-at))); err != nil {
			return master.Digest{}, err
		}
		o.report("check", min(at+16<<20, sizeBytes), sizeBytes)
	}
	return master.Digest(h.Sum(nil)), nil
}

// decompress writes a zstd stream as a sparse raw file.
func decompress(ctx context.Context, f *os.File, raw string, o ImportOptions) error {
	dec, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return err
	}
	defer dec.Close()
	out, err := os.OpenFile(raw, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	written, err := copySparse(ctx, out, dec, func(done int64) { o.report("convert", done, 0) })
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, zstd.ErrCRCMismatch) || errors.Is(err, zstd.ErrMagicMismatch) {
		err = inventory.Invalid("the zstd file is damaged or cut short after %d bytes of the disk: %v", written, err)
	}
	return errors.Join(err, out.Truncate(written), out.Close())
}

// copySparse copies all of r, leaving blocks of zeros as holes.
func copySparse(ctx context.Context, out *os.File, r io.Reader, progress func(done int64)) (int64, error) {
	buf := make([]byte, 256<<10)
	zeros := make([]byte, len(buf))
	var at int64
	for {
		if err := ctx.Err(); err != nil {
			return at, err
		}
		n, err := io.ReadFull(r, buf)
		if at += int64(n); at > master.MaxLogicalBytes {
			return at, inventory.Invalid("the disk is larger than %d bytes", int64(master.MaxLogicalBytes))
		}
		if string(buf[:n]) != string(zeros[:n]) {
			if _, err := out.WriteAt(buf[:n], at-int64(n)); err != nil {
				return at, err
			}
		}
		if progress(at); err == io.EOF || err == io.ErrUnexpectedEOF && n > 0 && cleanEnd(r) {
			return at, nil
		}
		if err != nil {
			return at, err
		}
	}
}

// cleanEnd tells a stream that ended with a short block from one that was cut:
// io.ReadFull says ErrUnexpectedEOF for both, a second read doesn't.
func cleanEnd(r io.Reader) bool {
	_, err := r.Read(make([]byte, 1))
	return err == io.EOF
}

// growProbeBytes is how much larger a disk is imagined to see whether the named
// partition can be grown on it.
const growProbeBytes = 64 << 20

// checkRaw refuses a disk that is cut short: no whole number of sectors, or with a
// partition table that reaches behind its end.
func checkRaw(raw io.ReaderAt, sizeBytes int64, traits master.Traits) error {
	if traits.SectorBytes <= 0 || sizeBytes == 0 || sizeBytes%int64(traits.SectorBytes) != 0 {
		return inventory.Invalid("a disk of %d bytes is no whole number of %d-byte sectors: it was cut short", sizeBytes, traits.SectorBytes)
	}
	signature := make([]byte, 8)
	if _, err := raw.ReadAt(signature, int64(traits.SectorBytes)); err != nil || string(signature) != "EFI PART" {
		if traits.GrowPartition != "" {
			return inventory.Invalid("partition %q can't be grown: the disk has no GUID partition table for %d-byte sectors", traits.GrowPartition, traits.SectorBytes)
		}
		return nil
	}
	table, err := master.ReadTable(raw, sizeBytes, traits.SectorBytes)
	if err != nil {
		return inventory.Invalid("the disk is damaged or cut short: %v", err)
	}
	if traits.GrowPartition == "" {
		return nil
	}
	table.DiskBytes += growProbeBytes
	if err := table.Grow(traits.GrowPartition, 0); err != nil {
		return inventory.Invalid("the partition to grow: %v", err)
	}
	return nil
}

// pack writes the master's data file into the staging folder.
func pack(ctx context.Context, st *staging, raw *os.File, sizeBytes int64, o ImportOptions) (*master.Manifest, error) {
	if err := os.Mkdir(st.path("image"), 0o755); err != nil {
		return nil, err
	}
	data, err := os.OpenFile(filepath.Join(st.path("image"), dataName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	manifest, err := master.Write(ctx, raw, sizeBytes, data, master.WriteOptions{Traits: o.Traits, Level: o.Level,
		Progress: func(done, total int64) { o.report("compress", done, total) }})
	return manifest, errors.Join(err, data.Sync(), data.Close())
}
