package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ingot/inventory"
)

// fileName is as in an archive's pool, where the epoch has gone.
func (p Package) fileName() string {
	_, version, ok := strings.Cut(p.Version, ":")
	if !ok {
		version = p.Version
	}
	return path.Base(url.PathEscape(p.Name + "_" + version + "_" + p.Architecture + ".deb"))
}

// pin takes the inputs of an earlier build, which the cache must hold.
func (b *build) pin() error {
	in := *b.opts.Pinned
	var missing []string
	for _, p := range in.Packages {
		if !b.cache.has(p.SHA256, p.SizeBytes) {
			missing = append(missing, p.Name+" "+p.Version)
		}
	}
	if in.PackagesIndex != "" && !b.cache.has(strings.TrimPrefix(in.PackagesIndex, "sha256:"), -1) {
		missing = append(missing, "the index of packages")
	}
	if len(missing) > 0 {
		return fmt.Errorf("the cache %s lacks %d of the pinned inputs: %s: build without pinned inputs, or bring the cache of that build: %w",
			b.cache.dir, len(missing), strings.Join(missing[:min(len(missing), 20)], ", "), inventory.ErrNotFound)
	}
	tools := b.inputs.Tools
	b.inputs = in
	b.inputs.Tools = tools
	if !slices.Equal(tools, in.Tools) {
		b.log.Write([]byte("the tools are not those of the pinned build: bytes may differ\n"))
	}
	return nil
}

// repository makes an archive of the cached packages in the scratch folder and returns
// it. Each package is read once, against its digest.
func (b *build) repository() (string, error) {
	dir := filepath.Join(b.dir, "repository")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for _, p := range b.inputs.Packages {
		file, err := b.cache.verify(p.SHA256)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("package %s %s in the cache is spoilt, it was removed: build again: %w", p.Name, p.Version, err)
		} else if err != nil {
			return "", fmt.Errorf("read package %s %s: %w", p.Name, p.Version, err)
		}
		if err := os.Symlink(file, filepath.Join(dir, p.fileName())); err != nil {
			return "", err
		}
	}
	index, err := b.cache.verify(strings.TrimPrefix(b.inputs.PackagesIndex, "sha256:"))
	if err != nil {
		return "", fmt.Errorf("read the index of packages: %w", err)
	}
	if err := copyFile(index, filepath.Join(dir, "Packages")); err != nil {
		return "", err
	}
	info, err := os.Stat(index)
	if err != nil {
		return "", err
	}
	// mmdebstrap takes packages of the release that it is told.
	release := fmt.Sprintf("Origin: Debian\nSuite: %[1]s\nCodename: %[1]s\nArchitectures: amd64\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n %[2]s %[3]d Packages\n",
		b.recipe.Release, strings.TrimPrefix(b.inputs.PackagesIndex, "sha256:"), info.Size())
	return dir, os.WriteFile(filepath.Join(dir, "Release"), []byte(release), 0o644)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
