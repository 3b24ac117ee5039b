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
	return fmt.Errorf("chunk %d (%s, at %d of the disk) %s: import or build the image again, that mends it", i, c.FrameSHA256, c.Offset, problem)
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
		p, ok := x.where[c.FrameSHA256]
		if !ok || p.length != c.FileLength {
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

// readChunk returns a frame and checks its hash.
func (d *Data) readChunk(i int) ([]byte, error) {
	c := d.manifest.Chunks[i]
	frame, err := d.store.readPlace(d.places[i])
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, chunkProblem(i, c, "is missing")
	case err != nil:
		return nil, err
	case master.DigestOf(frame) != c.FrameSHA256:
		return nil, chunkProblem(i, c, "is damaged: its bytes have another SHA-256")
	}
	return frame, nil
}
