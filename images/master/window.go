package master

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// windowBytes is how much of the raw disk is read at once.
const windowBytes = 1 << 20

// window is one stretch of the raw disk on its way to the chunks that are cut from it.
type window struct {
	offset, length int64
	buf            []byte
	blocks         []block
	// read is closed when buf and blocks are filled.
	read chan struct{}
	// users still need buf: the cutter and the chunks under way.
	users atomic.Int32
}

var windowPool = sync.Pool{New: func() any { return &window{buf: make([]byte, windowBytes)} }}

func newWindow(offset, length int64) *window {
	w := windowPool.Get().(*window)
	w.offset, w.length, w.read = offset, length, make(chan struct{})
	w.users.Store(1)
	return w
}

func (w *window) end() int64 { return w.offset + w.length }

func (w *window) drop() {
	if w.users.Add(-1) == 0 {
		windowPool.Put(w)
	}
}

// part is the window's share of start to end.
func (w *window) part(start, end int64) []byte {
	return w.buf[max(start-w.offset, 0):min(end-w.offset, w.length)]
}

// windowReader cuts a raw disk into windows, in order, leaving out those that a hole
// covers whole.
type windowReader interface {
	// sizeBytes is 0 when it is not known before the end.
	sizeBytes() int64
	// next returns io.EOF behind the last one.
	next() (*window, error)
	// fill reads the window; several calls run at once.
	fill(w *window) error
}

// diskReader is a windowReader of a disk that can be read anywhere.
type diskReader struct {
	raw  io.ReaderAt
	size int64
	at   int64
}

func (d *diskReader) sizeBytes() int64 { return d.size }

func (d *diskReader) next() (*window, error) {
	if d.at >= d.size {
		return nil, io.EOF
	}
	data, err := nextData(d.raw, d.at, d.size)
	if err != nil {
		return nil, err
	}
	if d.at = data / windowBytes * windowBytes; data >= d.size {
		return nil, io.EOF
	}
	w := newWindow(d.at, min(windowBytes, d.size-d.at))
	d.at = w.end()
	return w, nil
}

func (d *diskReader) fill(w *window) error {
	if n, err := d.raw.ReadAt(w.buf[:w.length], w.offset); int64(n) < w.length {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read raw disk at %d: %w", w.offset, err)
	}
	return nil
}

// streamReader is a windowReader of a disk that comes in order.
type streamReader struct {
	raw io.Reader
	at  int64
}

func (s *streamReader) sizeBytes() int64 { return s.at }

func (s *streamReader) next() (*window, error) {
	w := newWindow(s.at, 0)
	n := 0
	var err error
	for n < len(w.buf) && err == nil { // io.ReadFull would hide an io.ErrUnexpectedEOF of raw
		var more int
		more, err = s.raw.Read(w.buf[n:])
		n += more
	}
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read raw disk at %d: %w", s.at+int64(n), err)
	}
	if n == 0 {
		return nil, io.EOF
	}
	w.length = int64(n)
	s.at = w.end()
	return w, nil
}

func (s *streamReader) fill(*window) error { return nil }
