package master

import (
	"fmt"
	"sort"
)

// Layout places what a data file is made of: the frames of the chunks, and between
// them what follows from the manifest alone, the frames of the holes and the seek
// table. A store needs to keep nothing but the frames.
type Layout struct {
	parts     []Part
	frames    []Frame
	sizeBytes int64
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

// NewLayout places the parts of a manifest's data file. It is a [*ManifestError] when
// the manifest's offsets are not those of a file that [Write] makes.
func NewLayout(m *Manifest) (*Layout, error) {
	l := &Layout{}
	at := int64(0)
	for i, c := range m.Chunks {
		l.hole(c.Offset - at)
		if c.FileOffset != l.sizeBytes {
			return nil, &ManifestError{fmt.Sprintf("chunks[%d].fileOffset", i), fmt.Sprintf("is %d, the frames before end at %d", c.FileOffset, l.sizeBytes)}
		}
		l.add(Part{Length: c.FileLength, Chunk: i}, c.Length)
		at = c.End()
	}
	l.hole(m.LogicalBytes - at)
	table := int64(len(l.frames))*seekEntryBytes + seekFooterBytes + skipHeaderBytes
	l.parts = append(l.parts, Part{Offset: l.sizeBytes, Length: table, Chunk: -1})
	if l.sizeBytes += table; l.sizeBytes != m.DataBytes {
		return nil, &ManifestError{"dataBytes", fmt.Sprintf("is %d, the frames and the seek table take %d", m.DataBytes, l.sizeBytes)}
	}
	return l, nil
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

// Parts are all parts, in order.
func (l *Layout) Parts() []Part { return l.parts }

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
