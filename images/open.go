package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ingot/images/master"
	"ingot/inventory"
)

// Master is an image of the store, open for reading. Close it after use; it stays
// readable when the image is deleted meanwhile.
type Master struct {
	// Manifest is parsed from Document, whose SHA-256 is the image's digest.
	Manifest *master.Manifest
	Document []byte
	// Data is the data file.
	Data *Data

	digest master.Digest
	lease  *lease
}

// Close ends the reading. What of a deleted image was kept for it goes.
func (m *Master) Close() error {
	if err := m.lease.close(); err != nil {
		return err
	}
	return m.Data.store.release(m.digest)
}

// Apply writes the image to the target: see [master.Apply]. A chunk that is damaged on disk
// is an error that says what to do.
func (m *Master) Apply(ctx context.Context, target master.Target, o master.ApplyOptions) (master.Progress, error) {
	p, err := master.Apply(ctx, m.Manifest, frameSource{m.Data}, target, o)
	var wrong *master.ChunkError
	if errors.As(err, &wrong) {
		err = chunkProblem(wrong.Index, m.Manifest.Chunks[wrong.Index], "is damaged: "+wrong.Reason)
	}
	return p, err
}

// Layout places the frames in the data file.
func (m *Master) Layout() *master.Layout { return m.Data.layout }

// Frame returns the frame of chunk i as it is stored, and checks the hash of its bytes.
func (m *Master) Frame(i int) ([]byte, error) {
	frame, _, err := m.Data.readChunk(i)
	return frame, err
}

// Disk reads the raw disk without unpacking it whole, until the master is closed.
func (m *Master) Disk() *master.Disk {
	return master.NewDisk(m.Manifest, func(i int) ([]byte, error) {
		_, raw, err := m.Data.readChunk(i)
		return raw, err
	})
}

// Open opens an image by its full digest. It errors with inventory.ErrNotFound
// when it is not there, with inventory.ErrDenied when [Store.Trust] refuses it, and when
// the manifest was changed or a chunk is missing or cut short on disk. The chunks'
// hashes are not checked here.
func (s *Store) Open(digest string) (*Master, error) {
	d, err := master.ParseDigest(digest)
	if err != nil {
		return nil, fmt.Errorf("open image: %w: %w", err, inventory.ErrInvalid)
	}
	m, err := s.open(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, inventory.NotFound("image", digest)
	}
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", digest, err)
	}
	return m, nil
}

func (s *Store) open(d master.Digest) (*Master, error) {
	lease, err := s.lease(d)
	if err != nil {
		return nil, err
	}
	m, err := s.load(d)
	if err == nil {
		err = errors.Join(s.trusted(d, m.Document), s.complete(m))
	}
	if err != nil {
		return nil, errors.Join(err, lease.close())
	}
	m.lease = lease
	return m, nil
}

// load reads and checks the manifest.
func (s *Store) load(d master.Digest) (*Master, error) {
	document, err := os.ReadFile(filepath.Join(s.blob(d), manifestName))
	if err != nil {
		return nil, err
	}
	manifest, err := master.ParseManifestDigest(document, d)
	if err != nil {
		return nil, err
	}
	return &Master{Manifest: manifest, Document: document, Data: &Data{store: s, manifest: manifest}, digest: d}, nil
}

// complete finds where an image's chunks are, and what of them is missing.
func (s *Store) complete(m *Master) error {
	generation, found, err := s.places(m.Manifest)
	if err == nil {
		m.Data.generation, m.Data.places = generation, found
		return m.Data.place()
	}
	if _, statErr := os.Stat(filepath.Join(s.blob(m.digest), oldDataName)); statErr == nil {
		return fmt.Errorf("it is still in the old layout, and could not be converted when the store was opened: see the server's log, and start it again: %w", errors.Join(s.upgradeError(m.digest), err))
	}
	return err
}

// trusted asks [Store.Trust].
func (s *Store) trusted(d master.Digest, document []byte) error {
	if s.Trust == nil {
		return nil
	}
	signatures, err := s.signatures(d)
	if err != nil {
		return err
	}
	return s.Trust(document, signatures)
}
