package images

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ingot/images/master"
)

// chunks is the folder of the frames that images are made of, each under the digest of
// its bytes: what several images share is there once.
func (s *Store) chunks() string { return filepath.Join(s.dir, "chunks", "sha256") }

func (s *Store) chunk(d master.Digest) string {
	name := d.Hex()
	return filepath.Join(s.chunks(), name[:2], name)
}

// makeChunkFolders makes the 256 folders, so that no import has to.
func (s *Store) makeChunkFolders() error {
	for i := range 256 {
		if err := os.MkdirAll(filepath.Join(s.chunks(), hex.EncodeToString([]byte{byte(i)})), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// chunkProblem is an error about one chunk on disk, with what to do.
func chunkProblem(i int, c master.Chunk, problem string) error {
	return fmt.Errorf("chunk %d (%s, at %d of the disk) %s: import or build the image again, that mends it", i, c.FrameSHA256, c.Offset, problem)
}

// openChunk opens a frame's file and checks its length.
func (s *Store) openChunk(i int, c master.Chunk) (*os.File, error) {
	f, err := os.Open(s.chunk(c.FrameSHA256))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, chunkProblem(i, c, "is missing")
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != c.FileLength {
		err = chunkProblem(i, c, fmt.Sprintf("has %d bytes, want %d", info.Size(), c.FileLength))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// readChunk returns a frame and checks its hash.
func (s *Store) readChunk(i int, c master.Chunk) ([]byte, error) {
	frame, err := os.ReadFile(s.chunk(c.FrameSHA256))
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

// checkChunks finds chunks that are gone or cut short without reading them.
func (s *Store) checkChunks(m *master.Manifest) error {
	for i, c := range m.Chunks {
		info, err := os.Stat(s.chunk(c.FrameSHA256))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return chunkProblem(i, c, "is missing")
		case err != nil:
			return err
		case info.Size() != c.FileLength:
			return chunkProblem(i, c, fmt.Sprintf("has %d bytes, want %d", info.Size(), c.FileLength))
		}
	}
	return nil
}
