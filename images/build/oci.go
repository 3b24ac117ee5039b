package build

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"

	"ingot/images/master"
	"ingot/inventory"
)

//go:embed oci-init.sh
var ociInit string

// ociModules are what the initramfs needs to find the root.
var ociModules = []string{
	"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ahci", "ata_piix", "nvme", "megaraid_sas", "mptspi", "mptsas", "mpt3sas", "vmw_pvscsi",
	"hv_vmbus", "hv_storvsc", "ext4", "crc32c_generic",
}

const ociLoad = "virtio_pci virtio_blk virtio_scsi sd_mod nvme ahci crc32c_generic ext4"

// oci makes the disk of a container image: its layers, a kernel with its modules, and an
// initramfs that starts /sbin/init. It needs no privilege. With cloud-init in it the machine
// is configured by its seed; without, nobody is there to read one.
func (b *build) oci(ctx context.Context) error {
	t, err := newTree(filepath.Join(b.dir, "spool"))
	if err != nil {
		return err
	}
	root, err := b.unpack(ctx)
	if err != nil {
		return err
	}
	b.step("unpack layers", b.recipe.Source.OCI.Layout)
	if err := b.ociLayers(ctx, t); err != nil {
		return inventory.Invalid("%skey source.oci: %v", b.recipe.place("source.oci"), err)
	}
	if err := b.checkInit(t); err != nil {
		return err
	}
	if t.has("usr/bin/cloud-init") {
		b.traits.FirstBoot = master.FirstBootCloudInit
	}
	if err := b.ociKernel(ctx, root, t); err != nil {
		return fmt.Errorf("add kernel: %w", err)
	}
	l, err := newLayout(b.recipe, b.raw)
	if err != nil {
		return err
	}
	for _, a := range b.recipe.actions() {
		for _, f := range a.Files {
			err = errors.Join(err, t.write(f))
		}
		for _, pattern := range a.Cleanup {
			err = errors.Join(err, t.glob(strings.TrimPrefix(pattern, "/")))
		}
	}
	if err := errors.Join(err, b.configure(t, l)); err != nil {
		return fmt.Errorf("configure image: %w", err)
	}
	return b.finish(ctx, t, l)
}

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

// checkInit refuses an image that nothing could start.
func (b *build) checkInit(t *tree) error {
	if !strings.Contains(" "+b.recipe.KernelCommandLine, " init=") && !t.has("sbin/init") {
		return inventory.Invalid("the container image has no /sbin/init: install an init system in it, or name a program with kernelCommandLine: init=/PATH")
	}
	return nil
}

// ociKernel adds the kernel, its modules and the initramfs where Debian's packages would put
// them: in /boot, with links to them in the root.
func (b *build) ociKernel(ctx context.Context, root string, t *tree) error {
	kernel, version, err := findKernel(root)
	if err != nil {
		return err
	}
	b.step("make initramfs", fmt.Sprintf("%d modules named, and what they need", len(ociModules)))
	initrd := filepath.Join(b.dir, "initrd.zst")
	if err := b.busyboxInitrd(ctx, root, version, ociModules, ociLoad, []File{{Path: "/init", Content: ociInit, Mode: 0o755}}, initrd); err != nil {
		return fmt.Errorf("make initramfs: %w", err)
	}
	for name, from := range map[string]string{"vmlinuz": kernel, "initrd.img": initrd} {
		at := "boot/" + name + "-" + version
		link := &entry{kind: tar.TypeSymlink, mode: 0o777, seconds: sourceDate, link: at}
		if err := errors.Join(t.addFile(at, from), t.add(name, link)); err != nil {
			return err
		}
	}
	// kmod, which the system has, reads only the binary tables that its own depmod makes.
	if _, err := b.run(ctx, "depmod", "-b", root, version); err != nil {
		return err
	}
	modules := filepath.Join(root, "lib", "modules")
	return filepath.WalkDir(modules, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		return t.addFile(rel, p)
	})
}

// has reports whether there is something at a path, links followed once.
func (t *tree) has(name string) bool {
	dir, err := t.resolve(path.Dir(name), 0)
	return err == nil && t.entries[path.Join(dir, path.Base(name))] != nil
}

// addFile adds a file of this machine, as root's and readable.
func (t *tree) addFile(name, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	content, size, err := t.store(f)
	if err != nil {
		return err
	}
	return t.add(filepath.ToSlash(name), &entry{kind: tar.TypeReg, mode: 0o644, seconds: sourceDate, content: content, size: size})
}
