package images

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

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
	lease  *os.File
}

// Close ends the reading. What of a deleted image was kept for it goes.
func (m *Master) Close() error {
	if err := m.lease.Close(); err != nil {
		return err
	}
	return m.Data.store.release(m.digest)
}

// Source returns the data file as a source for [master.Apply]. It checks the hash of
// each chunk: one that is damaged on disk is a [*master.PermanentError].
func (m *Master) Source() master.Source { return chunkSource{m.Data} }

// Frame returns the bytes of chunk i as they are stored, and checks their hash.
func (m *Master) Frame(i int) ([]byte, error) { return m.Data.readChunk(i) }

// Disk reads the raw disk without unpacking it whole. Close it before the master.
func (m *Master) Disk() (*master.Disk, error) {
	return master.NewDisk(m.Manifest, m.Data.readChunk)
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
		return nil, errors.Join(err, lease.Close())
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
	layout, err := master.NewLayout(manifest)
	if err != nil {
		return nil, err
	}
	return &Master{Manifest: manifest, Document: document, Data: &Data{store: s, manifest: manifest, layout: layout}, digest: d}, nil
}

// complete finds where an image's chunks are, and what of them is missing.
func (s *Store) complete(m *Master) error {
	generation, found, err := s.places(m.Manifest)
	if err == nil {
		m.Data.generation, m.Data.places = generation, found
		m.Data.runs = newRuns(m.Data.layout, found)
		return nil
	}
	if _, statErr := os.Stat(filepath.Join(s.blob(m.digest), oldDataName)); statErr == nil {
		return fmt.Errorf("it is still in the old layout, and could not be converted when the store was opened: see the server's log, and start it again: %w", errors.Join(s.upgradeError(m.digest), err))
	}
	return err
}

// lease marks an image as being read, for all processes: flock(2) on its manifest. It is
// fs.ErrNotExist when the image is not there or on its way out.
func (s *Store) lease(d master.Digest) (*os.File, error) {
	path := filepath.Join(s.blob(d), manifestName)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fs.ErrNotExist
		}
		return nil, errors.Join(err, f.Close())
	}
	// It may have been deleted before the lock.
	here, err := f.Stat()
	there, statErr := os.Stat(path)
	if err = errors.Join(err, statErr); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !os.SameFile(here, there) {
		return nil, errors.Join(fs.ErrNotExist, f.Close())
	}
	return f, nil
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
