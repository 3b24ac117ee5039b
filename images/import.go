package images

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"ingot/images/master"
	"ingot/inventory"
)

// Import brings a disk file, or one at an http or https URL, into the store: raw, qcow2,
// vmdk, vhdx or ova, each also compressed with gzip, xz, bzip2 or zstd. An image that is
// there already under the same name is returned as it is. It errors with
// inventory.ErrInvalid when the file is damaged, cut short, has another hash than told,
// or needs other files, and with inventory.ErrConflict when the quota is used up; nothing
// is left behind then, nor when the disk is full.
func (s *Store) Import(ctx context.Context, path string, o ImportOptions) (image inventory.Image, err error) {
	if err := inventory.CheckImageName(o.Name); err != nil {
		return image, err
	}
	err = s.guard(ctx, func(ctx context.Context) error {
		image, err = s.importGuarded(ctx, path, o)
		return err
	})
	if errors.Is(err, unix.ENOSPC) {
		return image, fmt.Errorf("import image %s: the disk that holds %s is full; nothing was kept: free some space and try again: %w", o.Name, s.dir, err)
	}
	if err != nil {
		return image, fmt.Errorf("import image %s from %s: %w", o.Name, shown(path), err)
	}
	for _, channel := range o.Channels {
		if _, err := s.MoveChannel(ctx, o.Name, channel, image.Digest, o.Why); err != nil {
			return image, err
		}
	}
	return image, nil
}

func (s *Store) importGuarded(ctx context.Context, path string, o ImportOptions) (image inventory.Image, err error) {
	room, err := s.newRoom(ctx)
	if err != nil {
		return image, err
	}
	st, err := s.newStaging(ctx, room)
	if err != nil {
		return image, err
	}
	defer func() { err = errors.Join(err, st.discard()) }()
	return s.importStaged(ctx, st, path, o)
}

func (s *Store) importStaged(ctx context.Context, st *staging, path string, o ImportOptions) (inventory.Image, error) {
	src, err := openSource(ctx, st, path, &o)
	if err != nil {
		return inventory.Image{}, err
	}
	if o.SectorBytes == 0 {
		if o.SectorBytes, err = src.sectorBytes(); err != nil {
			return inventory.Image{}, errors.Join(err, src.close())
		}
	}
	st.pack.plain = o.Later && src.stream == nil && st.hasRoom(src.sizeBytes)
	manifest, err := pack(ctx, st, src, o)
	if err := errors.Join(err, src.close()); err != nil {
		return inventory.Image{}, err
	}
	stored, err := st.storedBytes(manifest)
	if err != nil {
		return inventory.Image{}, err
	}
	document, err := manifest.Document()
	if err != nil {
		return inventory.Image{}, err
	}
	image := describe(manifest, master.DigestOf(document), o, s.now())
	image.StoredBytes = stored
	if o.SkipUnchanged {
		same, err := s.FindContent(ctx, o.Name, image.ContentDigest)
		if err == nil && sameTraits(same, image) {
			return same, nil
		}
		if err != nil && !errors.Is(err, inventory.ErrNotFound) {
			return image, err
		}
	}
	return s.publish(ctx, st, image, document, o)
}

// sameTraits compares what is beside the disk's bytes.
func sameTraits(a, b inventory.Image) bool {
	return slices.Equal(a.BootModes, b.BootModes) && a.FirstBoot == b.FirstBoot && a.GrowPartition == b.GrowPartition && a.LogicalSectorBytes == b.LogicalSectorBytes
}

// pack puts the disk into the staging folder.
func pack(ctx context.Context, st *staging, src *source, o ImportOptions) (*master.Manifest, error) {
	step := "compress"
	if st.pack.plain {
		step = "store"
	}
	write := master.WriteOptions{Traits: o.Traits, Level: o.Level, Uncompressed: st.pack.plain, MaxBytes: o.maxBytes(), Have: st.have,
		Progress: func(done, total int64) { o.report(step, done, total) }}
	if src.stream == nil {
		if src.sizeBytes > o.maxBytes() {
			return nil, tooLarge(src.sizeBytes, o.maxBytes())
		}
		if err := checkRaw(src.disk, src.sizeBytes, o.Traits); err != nil {
			return nil, err
		}
		return master.WriteFrames(ctx, src.disk, src.sizeBytes, st.put, write)
	}
	manifest, err := master.WriteStream(ctx, src.stream, st.put, write)
	var fault *master.ManifestError
	switch {
	case errors.Is(err, master.ErrTooLarge):
		return nil, tooLarge(o.maxBytes(), o.maxBytes())
	case errors.As(err, &fault):
		return nil, inventory.Invalid("the disk is cut short or not one: %v", fault)
	case err != nil:
		return nil, err
	}
	disk := master.NewDisk(manifest, func(i int) ([]byte, error) { return st.chunk(manifest.Chunks[i]) })
	return manifest, checkRaw(disk, manifest.LogicalBytes, o.Traits)
}

func tooLarge(sizeBytes, limit int64) error {
	return inventory.Invalid("its disk has %s or more, the limit is %s: raise it if that is meant", inventory.FormatBytes(sizeBytes), inventory.FormatBytes(limit))
}

// describe writes the image's document.
func describe(m *master.Manifest, digest master.Digest, o ImportOptions, now time.Time) inventory.Image {
	image := inventory.Image{
		Name: o.Name, Digest: digest.String(), Version: o.Version,
		SizeBytes: m.LogicalBytes, LogicalSectorBytes: m.SectorBytes,
		FirstBoot: string(m.FirstBoot), GrowPartition: m.GrowPartition, Created: now.UTC().Truncate(time.Second),
		ContentDigest: m.ContentDigest.String(), Origin: o.Origin, Builder: o.Builder,
	}
	for _, mode := range m.BootModes {
		image.BootModes = append(image.BootModes, string(mode))
	}
	if !o.RecipeDigest.IsZero() {
		image.RecipeDigest = o.RecipeDigest.String()
	}
	if !o.InputsDigest.IsZero() {
		image.InputsDigest = o.InputsDigest.String()
	}
	return image
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
	if _, err := raw.ReadAt(signature, int64(traits.SectorBytes)); err != nil && err != io.EOF {
		return err
	}
	if string(signature) != gptSignature {
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
