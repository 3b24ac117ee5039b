package master

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"
)

// diskCacheChunks is how many chunks a [Disk] keeps unpacked.
const diskCacheChunks = 4

// Disk reads the raw disk of a master without unpacking it whole. It is safe for many
// goroutines.
type Disk struct {
	m      *Manifest
	unpack func(chunk int) ([]byte, error)

	mu     sync.Mutex
	recent []unpacked // newest last
}

type unpacked struct {
	chunk int
	raw   []byte
}

// NewDisk reads the disk of a manifest. unpack returns a chunk's bytes, which are right
// ([Chunk.Unpack]) and stay as they are.
func NewDisk(m *Manifest, unpack func(chunk int) ([]byte, error)) *Disk {
	return &Disk{m: m, unpack: unpack}
}

// SizeBytes is the size of the disk.
func (d *Disk) SizeBytes() int64 { return d.m.LogicalBytes }

// NextData implements [DataSeeker].
func (d *Disk) NextData(off int64) (int64, error) {
	i := d.find(off)
	if i == len(d.m.Chunks) {
		return d.m.LogicalBytes, nil
	}
	return max(off, d.m.Chunks[i].Offset), nil
}

// find returns the first chunk that ends behind an offset.
func (d *Disk) find(off int64) int {
	return sort.Search(len(d.m.Chunks), func(i int) bool { return d.m.Chunks[i].End() > off })
}

// ReadAt implements [io.ReaderAt].
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read image at %d", off)
	}
	n := 0
	for n < len(p) && off < d.m.LogicalBytes {
		more, err := d.read(p[n:], off)
		if err != nil {
			return n, err
		}
		n, off = n+more, off+int64(more)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// read reads to the end of the chunk or hole at off.
func (d *Disk) read(p []byte, off int64) (int, error) {
	end := d.m.LogicalBytes
	i := d.find(off)
	if i < len(d.m.Chunks) {
		if c := d.m.Chunks[i]; c.Offset <= off {
			raw, err := d.chunk(i)
			return copy(p, raw[min(off-c.Offset, int64(len(raw))):]), err
		}
		end = d.m.Chunks[i].Offset
	}
	n := int(min(int64(len(p)), end-off))
	clear(p[:n])
	return n, nil
}

func (d *Disk) chunk(chunk int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at := slices.IndexFunc(d.recent, func(u unpacked) bool { return u.chunk == chunk }); at >= 0 {
		u := d.recent[at]
		d.recent = append(slices.Delete(d.recent, at, at+1), u)
		return u.raw, nil
	}
	raw, err := d.unpack(chunk)
	if err != nil {
		return nil, err
	}
	if len(d.recent) >= diskCacheChunks {
		d.recent = slices.Delete(d.recent, 0, 1)
	}
	d.recent = append(d.recent, unpacked{chunk, raw})
	return raw, nil
}
