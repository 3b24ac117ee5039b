package master

import (
	"fmt"
	"io"
)

// Target is a disk that an image is written to. Its methods are safe for many
// calls at once on ranges which don't overlap. [Device] is the one for Linux.
type Target interface {
	io.ReaderAt
	io.WriterAt
	// Zero makes a range read as zero, by discarding it where that is certain.
	Zero(offset, length int64) error
	// Sync returns when everything written is on stable storage.
	Sync() error
	// SizeBytes is the size of the disk.
	SizeBytes() int64
	// SectorBytes is the logical sector size of the disk, and 0 where that has
	// no meaning (a file): every image fits.
	SectorBytes() int
}

// SizeError says that an image is larger than the disk. Nothing was written.
type SizeError struct{ ImageBytes, DiskBytes int64 }

func (e *SizeError) Error() string {
	return fmt.Sprintf("the image needs a disk of %d bytes, this one has %d: choose a larger disk", e.ImageBytes, e.DiskBytes)
}

// SectorError says that the partition table in the image was made for another
// logical sector size than the disk's. Nothing was written.
type SectorError struct{ ImageSectorBytes, DiskSectorBytes int }

func (e *SectorError) Error() string {
	return fmt.Sprintf("the image was made for %d-byte sectors, the disk has %d-byte sectors: it would not boot; use an image made for this size, or reformat the disk's namespace",
		e.ImageSectorBytes, e.DiskSectorBytes)
}

// CheckTarget returns a [*SizeError] or [*SectorError] when the image can't work
// on the target. It reads and writes nothing.
func (m *Manifest) CheckTarget(t Target) error {
	if disk := t.SectorBytes(); disk != 0 && disk != m.SectorBytes {
		return &SectorError{m.SectorBytes, disk}
	}
	if disk := t.SizeBytes(); disk < m.LogicalBytes {
		return &SizeError{m.LogicalBytes, disk}
	}
	return nil
}
