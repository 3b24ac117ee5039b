package master

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is a [Target] on Linux: a block device or a regular file.
type Device struct {
	file        *os.File
	direct      *os.File // nil for a file
	sizeBytes   int64
	sectorBytes int
}

// OpenDevice opens an existing block device or file for writing. A block device
// is opened exclusively: when it or one of its partitions is mounted or in use,
// the error says so (EBUSY). Close it after use.
func OpenDevice(path string) (*Device, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	block := info.Mode()&(os.ModeDevice|os.ModeCharDevice) == os.ModeDevice
	if !block && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open disk %s: neither a block device nor a file", path)
	}
	flags := os.O_RDWR
	if block {
		flags |= os.O_EXCL // open(2): without O_CREAT, fails with EBUSY when in use
	}
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("open disk %s: it is in use (mounted, or part of a RAID or volume group): %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	d := &Device{file: f, sizeBytes: info.Size()}
	if block {
		if err := d.measure(); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

// CreateFile makes a sparse file of sizeBytes and opens it as a disk. It errors
// when the file exists.
func CreateFile(path string, sizeBytes int64) (*Device, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("make disk file: %w", err)
	}
	if err := f.Truncate(sizeBytes); err != nil {
		return nil, errors.Join(fmt.Errorf("make disk file: %w", err), f.Close(), os.Remove(path))
	}
	return &Device{file: f, sizeBytes: sizeBytes}, nil
}

func (d *Device) measure() error {
	size, err := d.file.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("size of disk %s: %w", d.file.Name(), err)
	}
	sector, err := unix.IoctlGetInt(int(d.file.Fd()), unix.BLKSSZGET)
	if err != nil {
		return fmt.Errorf("sector size of disk %s: %w", d.file.Name(), err)
	}
	d.sizeBytes, d.sectorBytes = size, sector
	// The path names the open file, so a node that was replaced is not followed.
	path := fmt.Sprintf("/proc/self/fd/%d", d.file.Fd())
	if d.direct, err = os.OpenFile(path, os.O_RDWR|unix.O_DIRECT, 0); err != nil {
		return fmt.Errorf("open disk %s past the page cache: %w", d.file.Name(), err)
	}
	return nil
}

// ReadAt implements io.ReaderAt.
func (d *Device) ReadAt(p []byte, offset int64) (int, error) { return d.file.ReadAt(p, offset) }

// WriteAt implements io.WriterAt. The disk is set to work at once, while the next
// chunk is decoded, and Sync has little left to wait for: an aligned write to a
// block device goes past the page cache (O_DIRECT, open(2)), which also saves the
// copy; a file is written back early (sync_file_range(2)), because direct writes
// to a sparse file wait for its allocation one by one.
func (d *Device) WriteAt(p []byte, offset int64) (int, error) {
	if d.direct != nil && aligned(p, offset) {
		return d.direct.WriteAt(p, offset)
	}
	n, err := d.file.WriteAt(p, offset)
	if err != nil || len(p) < directAlign {
		return n, err
	}
	err = unix.SyncFileRange(int(d.file.Fd()), offset, int64(n), unix.SYNC_FILE_RANGE_WRITE)
	if err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.ESPIPE) {
		return n, fmt.Errorf("start writing disk back: %w", err)
	}
	return n, nil
}

// directAlign suits every logical sector size and file system block.
const directAlign = 4096

func aligned(p []byte, offset int64) bool {
	return len(p) > 0 && len(p)%directAlign == 0 && offset%directAlign == 0 && uintptr(unsafe.Pointer(&p[0]))%directAlign == 0
}

// alignedBuffer returns n bytes that start on a multiple of directAlign.
func alignedBuffer(n int64) []byte {
	buf := make([]byte, n+directAlign)
	skip := -uintptr(unsafe.Pointer(&buf[0])) % directAlign
	return buf[skip : int64(skip)+n : int64(skip)+n]
}

// SizeBytes implements [Target].
func (d *Device) SizeBytes() int64 { return d.sizeBytes }

// SectorBytes implements [Target]; it is 0 for a file.
func (d *Device) SectorBytes() int { return d.sectorBytes }

// Close closes the disk; it does not sync.
func (d *Device) Close() error {
	if d.direct == nil {
		return d.file.Close()
	}
	return errors.Join(d.direct.Close(), d.file.Close())
}

// Sync implements [Target].
func (d *Device) Sync() error {
	if err := d.file.Sync(); err != nil {
		return fmt.Errorf("sync disk %s: %w", d.file.Name(), err)
	}
	return nil
}

// Zero implements [Target]. Punching a hole in a block device discards it only
// where the device promises to read zeros afterwards, and else errors (Linux
// block/fops.c: BLKDEV_ZERO_NOFALLBACK), which a bare BLKDISCARD does not: many
// disks return the old bytes. The second way lets the kernel write the zeros.
func (d *Device) Zero(offset, length int64) error {
	const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	err := d.fallocate(punch, offset, length)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = d.fallocate(unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, offset, length)
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = d.writeZeros(offset, length)
	}
	if err != nil {
		return fmt.Errorf("zero %d bytes at %d of disk %s: %w", length, offset, d.file.Name(), err)
	}
	return nil
}

func (d *Device) fallocate(mode uint32, offset, length int64) error {
	for {
		if err := unix.Fallocate(int(d.file.Fd()), mode, offset, length); err != unix.EINTR {
			return err
		}
	}
}

func (d *Device) writeZeros(offset, length int64) error {
	zeros := make([]byte, min(length, 1<<20))
	for length > 0 {
		n, err := d.file.WriteAt(zeros[:min(length, int64(len(zeros)))], offset)
		if err != nil {
			return err
		}
		offset, length = offset+int64(n), length-int64(n)
	}
	return nil
}
