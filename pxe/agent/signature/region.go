package signature

import (
	"errors"
	"fmt"
	"io"
)

// pageBytes is the unit of reading: it suits 512 and 4096-byte sectors.
const pageBytes = 4096

// pages reads a disk in pages, each once, and no more than MaxReadBytes.
type pages struct {
	disk      io.ReaderAt
	sizeBytes int64
	cache     map[int64][]byte
	err       error
	// exhausted is set when a page wasn't read because MaxReadBytes were.
	exhausted bool
}

func newPages(disk io.ReaderAt, sizeBytes int64) *pages {
	return &pages{disk: disk, sizeBytes: sizeBytes, cache: map[int64][]byte{}}
}

// page returns a page, nil when it can't be read; the first error is kept. A page that
// reaches over the disk's end is short.
func (p *pages) page(n int64) []byte {
	if got, ok := p.cache[n]; ok {
		return got
	}
	if len(p.cache) >= MaxReadBytes/pageBytes {
		p.exhausted = true
	}
	if p.err != nil || p.exhausted {
		return nil
	}
	buf := make([]byte, min(pageBytes, p.sizeBytes-n*pageBytes))
	got, err := p.disk.ReadAt(buf, n*pageBytes)
	if err != nil && (!errors.Is(err, io.EOF) || got < len(buf)) {
		p.err = fmt.Errorf("read disk at byte %d: %w", n*pageBytes, err)
		buf = nil
	}
	p.cache[n] = buf
	return buf
}

// region is a stretch of a disk: the whole or a partition.
type region struct {
	pages       *pages
	startByte   int64
	sizeBytes   int64
	sectorBytes int
}

// bytes returns n bytes at off, nil when they are not all inside the region or can't be
// read. A negative off counts from the region's end.
func (r region) bytes(off int64, n int) []byte {
	if off < 0 {
		off += r.sizeBytes
	}
	if off < 0 || n <= 0 || off > r.sizeBytes-int64(n) || r.startByte < 0 || r.startByte > r.pages.sizeBytes-off-int64(n) {
		return nil
	}
	out := make([]byte, 0, n)
	for at := r.startByte + off; len(out) < n; {
		page := r.pages.page(at / pageBytes)
		skip := int(at % pageBytes)
		if len(page) <= skip {
			return nil
		}
		take := min(n-len(out), len(page)-skip)
		out = append(out, page[skip:skip+take]...)
		at += int64(take)
	}
	return out
}

// at reports whether the text stands at off.
func (r region) at(off int64, text string) bool {
	return string(r.bytes(off, len(text))) == text
}
