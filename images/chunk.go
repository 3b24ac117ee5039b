package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"ingot/images/master"
)

// chunkProblem is an error about one chunk on disk, with what to do.
func chunkProblem(i int, c master.Chunk, problem string) error {
	return fmt.Errorf("chunk %d (%s, at %d of the disk) %s: import or build the image again, that mends it", i, c.Name(), c.Offset, problem)
}

// places finds where a manifest's frames are, in which generation of the index. What is
// gone or cut short is an error; nothing is read.
func (s *Store) places(m *master.Manifest) (generation int, found []location, err error) {
	for _, read := range []func() (*packIndex, error){s.frameIndex, s.reloadIndex} {
		var index *packIndex
		if index, err = read(); err != nil {
			return 0, nil, err
		}
		if found, err = index.find(m); err == nil {
			err = s.checkPacks(m, found)
		}
		if err == nil {
			return index.generation, found, nil
		}
	}
	return 0, nil, err
}

// find returns the locations of all chunks.
func (x *packIndex) find(m *master.Manifest) ([]location, error) {
	found := make([]location, len(m.Chunks))
	for i, c := range m.Chunks {
		p, ok := x.where[c.Name()]
		if !ok || p.length > c.MaxFrameBytes() {
			return nil, chunkProblem(i, c, "is missing")
		}
		found[i] = p
	}
	return found, nil
}

// checkPacks looks at each pack's file once.
func (s *Store) checkPacks(m *master.Manifest, found []location) error {
	sizes := map[int]int64{}
	for i, p := range found {
		size, ok := sizes[p.pack]
		if !ok {
			info, err := os.Stat(s.packFile(p.pack, packDataSuffix))
			if errors.Is(err, fs.ErrNotExist) {
				return chunkProblem(i, m.Chunks[i], "is missing")
			}
			if err != nil {
				return err
			}
			size = info.Size()
			sizes[p.pack] = size
		}
		if p.offset+p.length > size {
			return chunkProblem(i, m.Chunks[i], fmt.Sprintf("is at %d of %s, which has %d bytes", p.offset, s.packFile(p.pack, packDataSuffix), size))
		}
	}
	return nil
}

// readFrame returns a chunk's frame, unchecked.
func (d *Data) readFrame(i int) ([]byte, error) {
	frame, err := d.store.readPlace(d.places[i])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, chunkProblem(i, d.manifest.Chunks[i], "is missing")
	}
	return frame, err
}

// readChunk returns a frame and its bytes, whose hash is checked.
func (d *Data) readChunk(i int) (frame, raw []byte, err error) {
	if frame, err = d.readFrame(i); err != nil {
		return nil, nil, err
	}
	c := d.manifest.Chunks[i]
	if raw, err = c.Unpack(frame, c.Room()); err != nil {
		return nil, nil, chunkProblem(i, c, fmt.Sprintf("is damaged: %v", err))
	}
	return frame, raw, nil
}
