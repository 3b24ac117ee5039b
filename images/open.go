package images

import (
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
	// Data is the data file. It is a plain file, so that it can be sent with
	// sendfile(2).
	Data *os.File
}

// Close closes the data file.
func (m *Master) Close() error { return m.Data.Close() }

// Source returns the data file as a source for [master.Apply].
func (m *Master) Source() master.Source { return master.ReaderSource{Data: m.Data} }

// Open opens an image by its full digest. It errors with inventory.ErrNotFound
// when it is not there, and when the manifest or the data file was changed or cut
// short on disk. The chunks' hashes are not checked here.
func (s *Store) Open(digest string) (*Master, error) {
	d, err := master.ParseDigest(digest)
	if err != nil {
		return nil, fmt.Errorf("open image: %w: %w", err, inventory.ErrInvalid)
	}
	document, err := os.ReadFile(filepath.Join(s.blob(d), manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, inventory.NotFound("image", digest)
	}
	if err != nil {
		return nil, fmt.Errorf("open image: %w", err)
	}
	manifest, err := master.ParseManifestDigest(document, d)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", digest, err)
	}
	data, err := os.Open(filepath.Join(s.blob(d), dataName))
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", digest, err)
	}
	info, err := data.Stat()
	if err == nil {
		err = manifest.CheckData(data, info.Size())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w", digest, err), data.Close())
	}
	return &Master{manifest, document, data}, nil
}
