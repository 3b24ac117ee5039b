package master

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// DataSeeker is a raw disk that knows its holes: NextData returns the first offset at or
// after off that may hold data, or the disk's size when none does.
type DataSeeker interface {
	NextData(off int64) (int64, error)
}

// nextData returns the first offset at or after off that may hold data, or
// sizeBytes when none does. Only a [DataSeeker] and a file with SEEK_DATA (lseek(2))
// know; for others it is off itself. No zeros are read to find holes.
func nextData(r io.ReaderAt, off, sizeBytes int64) (int64, error) {
	if seeker, ok := r.(DataSeeker); ok {
		at, err := seeker.NextData(off)
		return min(at, sizeBytes), err
	}
	f, ok := r.(*os.File)
	if !ok {
		return off, nil
	}
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return sizeBytes, nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ESPIPE):
		return off, nil
	case err != nil:
		return 0, fmt.Errorf("seek data in %s: %w", f.Name(), err)
	}
	return min(at, sizeBytes), nil
}
