package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"ingot/inventory"
)

// ociLayers puts the layers of the image into the tree, lowest first.
func (b *build) ociLayers(ctx context.Context, t *tree) error {
	s := b.recipe.Source.OCI
	dir := b.beside(s.Layout)
	b.inputs.Files = append(b.inputs.Files, InputFile{Key: "source.oci", SHA256: strings.TrimPrefix(s.Digest, "sha256:")})
	image, err := ociImage(dir, s.Digest)
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for i, layer := range layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := applyLayer(dir, layer, t); err != nil {
			return fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)
		}
	}
	return nil
}

// Whiteouts (OCI image spec 1.1, layer.md).
const (
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
)

// applyLayer takes out what a layer whites out of those below, then adds what it has.
func applyLayer(dir string, layer v1.Layer, t *tree) error {
	digest, err := layer.Digest()
	if err != nil {
		return err
	}
	if err := checkBlob(dir, digest); err != nil {
		return err
	}
	return errors.Join(eachEntry(layer, func(h *tar.Header, _ io.Reader) error {
		name, white, err := t.whiteout(h)
		if err != nil || !white {
			return err
		}
		if path.Base(h.Name) == opaqueWhiteout {
			return t.glob(path.Join(globQuote(path.Dir(name)), "*"))
		}
		t.remove(path.Join(path.Dir(name), strings.TrimPrefix(path.Base(name), whiteout)))
		return nil
	}), eachEntry(layer, func(h *tar.Header, r io.Reader) error {
		if _, white, err := t.whiteout(h); err != nil || white {
			return err
		}
		return t.addTar(h, r)
	}))
}

// whiteout reports whether an entry takes something out; name is where links lead.
func (t *tree) whiteout(h *tar.Header) (name string, white bool, err error) {
	if name, err = t.inside(h.Name); err != nil || !strings.HasPrefix(path.Base(name), whiteout) {
		return name, false, err
	}
	parent, err := t.resolve(path.Dir(name), 0)
	return path.Join(parent, path.Base(name)), true, err
}

// globQuote quotes a path for path.Match.
func globQuote(p string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}

func eachEntry(layer v1.Layer, do func(*tar.Header, io.Reader) error) error {
	r, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	archive := tar.NewReader(io.LimitReader(r, maxTreeBytes))
	for n := 0; ; n++ {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil && n > maxTreeEntries {
			err = inventory.Invalid("more than %d entries", maxTreeEntries)
		}
		if err != nil {
			return err
		}
		if err := do(h, archive); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}
