package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ingot/images/master"
	"ingot/inventory"
)

const signatureSuffix = ".minisig"

// maxSignatureBytes bounds a signature; minisign's are below 10 KiB.
const maxSignatureBytes = 64 << 10

// PutSignature keeps the signature of an image's manifest by a key, in place of an older
// one by the same key. It is not checked here: see [Store.Trust].
func (s *Store) PutSignature(ctx context.Context, digest, keyID string, minisig []byte) error {
	d, err := parse("sign image", digest)
	if err != nil {
		return err
	}
	if err := checkFileName(keyID); err != nil {
		return fmt.Errorf("id of the key: %w", err)
	}
	if len(minisig) == 0 || len(minisig) > maxSignatureBytes {
		return inventory.Invalid("a signature of %d bytes (want 1 to %d)", len(minisig), maxSignatureBytes)
	}
	return s.addTo(ctx, d, signaturesFolder, keyID+signatureSuffix, func(path string) error { return writeSynced(path, minisig) })
}

// Signatures returns the signatures of an image's manifest, by the IDs of the keys.
func (s *Store) Signatures(digest string) (map[string][]byte, error) {
	if _, err := s.inImage("read signatures of image", digest); err != nil {
		return nil, err
	}
	d, err := parse("read signatures of image", digest)
	if err != nil {
		return nil, err
	}
	return s.signatures(d)
}

func (s *Store) signatures(d master.Digest) (map[string][]byte, error) {
	ids, err := readSigners(s.blob(d))
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, id := range ids {
		if all[id], err = os.ReadFile(filepath.Join(s.blob(d), signaturesFolder, id+signatureSuffix)); err != nil {
			return nil, fmt.Errorf("read signature: %w", err)
		}
	}
	return all, nil
}

// readSigners lists the keys that signed the image in a folder.
func readSigners(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, signaturesFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read signatures: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), signatureSuffix); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
