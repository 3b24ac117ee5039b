package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
)

// ociImage opens the image with a digest, or the one for linux/amd64 of an index. The
// documents are checked against their digests.
func ociImage(dir, digest string) (v1.Image, error) {
	l, err := ocilayout.FromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("open OCI image layout %s: %w", dir, err)
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		return nil, err
	}
	if err := checkBlob(dir, hash); err != nil {
		return nil, err
	}
	if index, err := l.ImageIndex(); err == nil {
		if inner, err := index.ImageIndex(hash); err == nil {
			manifest, err := inner.IndexManifest()
			if err != nil {
				return nil, err
			}
			for _, m := range manifest.Manifests {
				if m.Platform != nil && m.Platform.OS == "linux" && m.Platform.Architecture == "amd64" {
					return ociImage(dir, m.Digest.String())
				}
			}
			if len(manifest.Manifests) > 0 && !manifest.MediaType.IsImage() && manifest.MediaType.IsIndex() {
				return nil, fmt.Errorf("index %s has no image for linux/amd64", digest)
			}
		}
	}
	image, err := l.Image(hash)
	if err != nil {
		return nil, fmt.Errorf("open OCI image %s: %w", digest, err)
	}
	config, err := image.ConfigName()
	if err != nil {
		return nil, err
	}
	return image, checkBlob(dir, config)
}

// checkBlob reads a blob against its digest.
func checkBlob(dir string, hash v1.Hash) error {
	if hash.Algorithm != "sha256" || !hexDigest.MatchString(hash.Hex) {
		return fmt.Errorf("digest %s is not a SHA-256", hash)
	}
	f, err := os.Open(filepath.Join(dir, "blobs", hash.Algorithm, hash.Hex))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != hash.Hex {
		return fmt.Errorf("blob %s has the digest sha256:%s: the layout is damaged", hash, got)
	}
	return nil
}
