package master

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// MismatchError says where a disk differs from the image.
type MismatchError struct {
	// Offset and Length are the run on the disk that was compared.
	Offset, Length int64
	// Hole is true when the run should read as zero.
	Hole bool
}

func (e *MismatchError) Error() string {
	if e.Hole {
		return fmt.Sprintf("disk bytes %d to %d should be zero and are not", e.Offset, e.Offset+e.Length)
	}
	return fmt.Sprintf("disk bytes %d to %d differ from the image", e.Offset, e.Offset+e.Length)
}

// Verify reads the disk back and compares it with the image: each chunk by its
// hash, each hole for zeros. It returns a [*MismatchError] for one run that
// differs. Call it before the partition table is grown: that changes the disk.
// progress may be nil; it is called from several goroutines, one call a run.
func Verify(ctx context.Context, m *Manifest, disk io.ReaderAt, progress func(bytes int64)) error {
	if err := m.Check(); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	buffers := make(chan []byte, runtime.GOMAXPROCS(0))
	check := func(offset, length int64, right func([]byte) bool, hole bool) {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			buf := takeBuffer(buffers, m.ChunkBytes)
			defer func() { buffers <- buf }()
			if _, err := disk.ReadAt(buf[:length], offset); err != nil {
				return fmt.Errorf("read disk at %d: %w", offset, err)
			}
			if !right(buf[:length]) {
				return &MismatchError{offset, length, hole}
			}
			if progress != nil {
				progress(length)
			}
			return nil
		})
	}
	for _, c := range m.Chunks {
		check(c.Offset, c.Length, func(b []byte) bool { return DigestOf(b) == c.SHA256 }, false)
	}
	for _, h := range m.Holes() {
		for at := h.Offset; at < h.Offset+h.Length && ctx.Err() == nil; at += m.ChunkBytes {
			check(at, min(m.ChunkBytes, h.Offset+h.Length-at), allZero, true)
		}
	}
	return group.Wait()
}

func takeBuffer(free chan []byte, size int64) []byte {
	select {
	case buf := <-free:
		return buf
	default:
		return make([]byte, size)
	}
}

func allZero(b []byte) bool {
	for len(b) > len(zeroBlock) {
		if !isZero(b[:len(zeroBlock)]) {
			return false
		}
		b = b[len(zeroBlock):]
	}
	return isZero(b)
}
