package master

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// Layout places what a data file is made of: the frames of the chunks, and between
// them what follows from the manifest alone, the frames of the holes and the seek
// table. A store needs to keep nothing but the frames. The same image has another layout
// when its frames were made anew.
type Layout struct {
	parts     []Part
	frames    []Frame
	places    []int // of each chunk's frame in parts
	sizeBytes int64
	tag       string
	etag      string // an HTTP server's
}

// Part is one piece of a data file.
type Part struct {
	// Offset and Length place it in the data file.
	Offset, Length int64
	// Chunk is the index of the chunk whose frame it is; -1 for bytes that
	// [Layout.Computed] gives.
	Chunk int
	// zeros is how many a hole's frame stands for; 0 for the seek table.
	zeros int64
}

// End returns the data file offset after the part.
func (p Part) End() int64 { return p.Offset + p.Length }

// NewLayout places the parts of the data file, of which frameBytes has the length of each
// chunk's frame. It errors when those are too many, too few, or can't be.
func NewLayout(m *Manifest, frameBytes []int64) (*Layout, error) {
	if len(frameBytes) != len(m.Chunks) {
		return nil, fmt.Errorf("place image data: %d frames for %d chunks", len(frameBytes), len(m.Chunks))
	}
	l := &Layout{}
	at := int64(0)
	for i, c := range m.Chunks {
		if n := frameBytes[i]; n <= 0 || n > c.MaxFrameBytes() {
			return nil, fmt.Errorf("place image data: a frame of %d bytes for chunk %d, which has %d", n, i, c.Length)
		}
		l.hole(c.Offset - at)
		l.places = append(l.places, len(l.parts))
		l.add(Part{Length: frameBytes[i], Chunk: i}, c.Length)
		at = c.End()
	}
	l.hole(m.LogicalBytes - at)
	table := seekTableBytes(len(l.frames))
	l.parts = append(l.parts, Part{Offset: l.sizeBytes, Length: table, Chunk: -1})
	l.sizeBytes += table
	sum := DigestOf(appendSeekTable(nil, l.frames))
	l.tag = sum.Hex()[:32]
	return l, nil
}

// ParseLayout reads the layout from the seek table that ends a data file: what this
// manifest's holes and chunks must be in it is compared.
func ParseLayout(m *Manifest, table []byte) (*Layout, error) {
	frames, err := parseSeekTable(table)
	if err != nil {
		return nil, err
	}
	var lengths []int64
	at, next := int64(0), 0
	for i, f := range frames {
		if next < len(m.Chunks) && m.Chunks[next].Offset == at {
			lengths = append(lengths, int64(f.CompressedBytes))
			next++
		}
		if at += int64(f.RawBytes); at > m.LogicalBytes {
			return nil, fmt.Errorf("read seek table: frame %d ends at %d of a disk of %d bytes", i, at, m.LogicalBytes)
		}
	}
	l, err := NewLayout(m, lengths)
	if err != nil {
		return nil, fmt.Errorf("read seek table: %w", err)
	}
	if want := appendSeekTable(nil, l.frames); string(want) != string(table) {
		return nil, fmt.Errorf("read seek table: it is not that of the manifest's chunks and holes")
	}
	return l, nil
}

// SeekTableBytes is how long the end of the data file is that [ParseLayout] reads.
func (m *Manifest) SeekTableBytes() int64 {
	l := Layout{}
	at := int64(0)
	for _, c := range m.Chunks {
		l.hole(c.Offset - at)
		l.add(Part{}, c.Length)
		at = c.End()
	}
	l.hole(m.LogicalBytes - at)
	return seekTableBytes(len(l.frames))
}

func (l *Layout) hole(zeros int64) {
	for zeros > 0 {
		n := min(zeros, maxHoleFrame)
		l.add(Part{Length: holeFrameBytes(n), Chunk: -1, zeros: n}, n)
		zeros -= n
	}
}

func (l *Layout) add(p Part, rawBytes int64) {
	p.Offset = l.sizeBytes
	l.parts = append(l.parts, p)
	l.frames = append(l.frames, Frame{uint32(p.Length), uint32(rawBytes)})
	l.sizeBytes += p.Length
}

// SizeBytes is the size of the data file.
func (l *Layout) SizeBytes() int64 { return l.sizeBytes }

// Tag tells this layout from others of the image: 32 hex digits.
func (l *Layout) Tag() string { return l.tag }

// Parts are all parts, in order.
func (l *Layout) Parts() []Part { return l.parts }

// Frame is the part that holds a chunk's frame.
func (l *Layout) Frame(chunk int) Part { return l.parts[l.places[chunk]] }

// At returns the part that holds an offset of the data file, and false behind its end.
func (l *Layout) At(offset int64) (Part, bool) {
	i := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].End() > offset })
	if offset < 0 || i == len(l.parts) {
		return Part{}, false
	}
	return l.parts[i], true
}

// Computed returns the bytes of a part that is no chunk's frame.
func (l *Layout) Computed(p Part) []byte {
	if p.zeros > 0 {
		return appendHoleFrame(nil, p.zeros)
	}
	return appendSeekTable(nil, l.frames)
}

func seekTableBytes(frames int) int64 {
	return int64(frames)*seekEntryBytes + seekFooterBytes + skipHeaderBytes
}

// parseSeekTable reads a whole skippable frame with a seek table without checksums.
func parseSeekTable(table []byte) ([]Frame, error) {
	count := (len(table) - skipHeaderBytes - seekFooterBytes) / seekEntryBytes
	if count < 0 || seekTableBytes(count) != int64(len(table)) {
		return nil, fmt.Errorf("read seek table: %d bytes are none", len(table))
	}
	frames := make([]Frame, count)
	for i := range frames {
		entry := table[skipHeaderBytes+i*seekEntryBytes:]
		frames[i] = Frame{binary.LittleEndian.Uint32(entry), binary.LittleEndian.Uint32(entry[4:])}
	}
	return frames, nil
}
