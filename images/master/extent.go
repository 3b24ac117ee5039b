package master

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// grainBytes is the size of the blocks that are looked at for zeros. Chunks start
// and end on it. joinBytes is the longest run of zeros inside a chunk: below it,
// a request and a discard cost more than the zeros.
const (
	grainBytes = 32 << 10
	joinBytes  = 128 << 10
)

var zeroGrain [grainBytes]byte

func isZero(b []byte) bool { return bytes.Equal(b, zeroGrain[:len(b)]) }

// run is a part of a buffer that holds data.
type run struct{ start, end int }

// dataRuns returns the runs of buf that hold data, whole grains without zeros at
// their ends. Runs nearer than joinBytes are one. It depends on the bytes alone,
// so the same disk gives the same chunks however it is stored.
func dataRuns(buf []byte) []run {
	var runs []run
	for at := 0; at < len(buf); at += grainBytes {
		end := min(at+grainBytes, len(buf))
		if isZero(buf[at:end]) {
			continue
		}
		if n := len(runs); n > 0 && at-runs[n-1].end < joinBytes {
			runs[n-1].end = end
			continue
		}
		runs = append(runs, run{at, end})
	}
	return runs
}

// nextData returns the first offset at or after off that may hold data, or
// sizeBytes when none does. Only a file with SEEK_DATA (lseek(2)) knows; for
// others it is off itself. No zeros are read to find holes.
func nextData(r io.ReaderAt, off, sizeBytes int64) (int64, error) {
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
