package bootfiles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Recipe is what a set is made from.
type Recipe struct {
	// Root is a folder with Debian's packages unpacked: from Acquire, or / or any
	// other place where they are installed.
	Root string
	// Agent is the path of the agent's static binary for Linux on x86-64.
	Agent string
	// Out is the directory of the set.
	Out string
	// Log gets progress. nil: none.
	Log *slog.Logger
}

// builderVersion changes when the same inputs give other bytes than before.
const builderVersion = "3"

// source is where a file of the set comes from: the first of the paths in the
// root that exists.
type source struct {
	name     string
	arch     Arch
	required bool
	paths    []string
}

var loaders = []source{
	{ShimX64, X64, true, []string{"usr/lib/shim/shimx64.efi.signed"}},
	{GrubX64, X64, true, []string{"usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"}},
	{MokX64, X64, false, []string{"usr/lib/shim/mmx64.efi.signed"}},
	{SNPOnly, X64, true, []string{"usr/lib/ipxe/snponly.efi"}},
	{IPXE, X64, true, []string{"usr/lib/ipxe/ipxe.efi", "boot/ipxe.efi"}},
	{UndiOnly, X64, true, []string{"usr/lib/ipxe/undionly.kpxe"}},
	{ShimARM64, ARM64, false, []string{"usr/lib/shim/shimaa64.efi.signed"}},
	{GrubARM64, ARM64, false, []string{"usr/lib/grub/arm64-efi-signed/grubnetaa64.efi.signed"}},
}

// Build makes the set and returns it. A set that was made from the same packages
// and agent before is returned as it is. The manifest is replaced last, by rename,
// and the files of the set before stay, so that a server that has it open goes on.
//
// Errors: ErrCloudKernel, and those that name the file or package that is not there.
func Build(ctx context.Context, r Recipe) (*Set, error) {
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	s, err := r.build(ctx)
	if err != nil {
		return nil, fmt.Errorf("build boot files: %w", err)
	}
	return s, nil
}

func (r Recipe) build(ctx context.Context) (*Set, error) {
	if err := checkAgent(r.Agent); err != nil {
		return nil, err
	}
	version, err := findKernel(r.Root)
	if err != nil {
		return nil, err
	}
	key, err := r.key(version)
	if err != nil {
		return nil, err
	}
	if old, err := Open(r.Out); err == nil && old.manifest.Key == key {
		return old, nil
	}
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(r.Out, "new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	m := Manifest{Key: key, KernelVersion: version}
	if err := r.copyFiles(tmp, version, &m); err != nil {
		return nil, err
	}
	if err := r.buildStages(ctx, tmp, &m); err != nil {
		return nil, err
	}
	return r.publish(tmp, m)
}

// key identifies the inputs by content for the agent, and by path, size and time
// for the packages' files, which are too many to read each time.
func (r Recipe) key(version string) (string, error) {
	h := sha256.New()
	sum, _, err := hashFile(r.Agent)
	if err != nil {
		return "", fmt.Errorf("read agent: %w", err)
	}
	fmt.Fprintln(h, builderVersion, version, sum, modulesTable)
	for _, s := range append([]source{kernelSource(version)}, loaders...) {
		for _, p := range s.paths {
			if info, err := os.Stat(filepath.Join(r.Root, p)); err == nil {
				fmt.Fprintln(h, p, info.Size(), info.ModTime().UnixNano())
			}
		}
	}
	for _, dir := range firmwareDirs {
		err := filepath.WalkDir(filepath.Join(r.Root, dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				fmt.Fprintln(h, strings.TrimPrefix(p, r.Root), info.Size(), info.ModTime().UnixNano())
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func kernelSource(version string) source {
	return source{Kernel, X64, true, []string{"boot/vmlinuz-" + version}}
}

// checkAgent refuses what cannot be PID 1 of an environment without libraries.
func checkAgent(path string) error {
	if err := checkStatic(path); err != nil {
		return fmt.Errorf("agent %s: %w: build it with `CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build`", path, err)
	}
	return nil
}

// copyFiles copies loaders and kernel into dir.
func (r Recipe) copyFiles(dir, version string, m *Manifest) error {
	for _, s := range append([]source{kernelSource(version)}, loaders...) {
		data, origin, err := s.read(r.Root)
		if errors.Is(err, fs.ErrNotExist) && !s.required {
			m.AbsentFiles = append(m.AbsentFiles, s.name)
			continue
		}
		if err != nil {
			return err
		}
		if err := m.write(dir, s.name, s.arch, origin, data); err != nil {
			return err
		}
	}
	return nil
}

func (s source) read(root string) (data []byte, origin string, err error) {
	for _, p := range s.paths {
		data, err := os.ReadFile(filepath.Join(root, p))
		if !errors.Is(err, fs.ErrNotExist) {
			return data, "/" + p, err
		}
	}
	return nil, "", fmt.Errorf("%s: none of %s is in %s: %w", s.name, strings.Join(s.paths, ", "), root, fs.ErrNotExist)
}

// write adds a file to the set that is being made in dir.
func (m *Manifest) write(dir, name string, arch Arch, origin string, data []byte) error {
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	m.Files = append(m.Files, File{Name: name, Arch: arch, SizeBytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Origin: origin})
	return nil
}

// publish moves the files to their folder and then replaces the manifest.
func (r Recipe) publish(tmp string, m Manifest) (*Set, error) {
	folder := "set-" + m.Key[:16]
	for i := range m.Files {
		m.Files[i].Path = folder + "/" + m.Files[i].Name
	}
	b, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, err
	}
	dest := filepath.Join(r.Out, folder)
	if err := os.RemoveAll(dest); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, dest); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return nil, err
	}
	before, _ := Open(r.Out)
	manifest := filepath.Join(r.Out, manifestName)
	if err := os.WriteFile(manifest+".new", append(b, '\n'), 0o644); err != nil {
		return nil, err
	}
	if err := os.Rename(manifest+".new", manifest); err != nil {
		return nil, err
	}
	if err := r.removeOld(folder, before); err != nil {
		return nil, err
	}
	return Open(r.Out)
}

// removeOld removes the folders of sets but the new one and the one before it.
func (r Recipe) removeOld(folder string, before *Set) error {
	keep := map[string]bool{folder: true}
	if before != nil && len(before.manifest.Files) > 0 {
		keep[filepath.Dir(before.manifest.Files[0].Path)] = true
	}
	folders, err := filepath.Glob(filepath.Join(globEscape(r.Out), "set-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range folders {
		if !keep[filepath.Base(f)] {
			errs = append(errs, os.RemoveAll(f))
		}
	}
	return errors.Join(errs...)
}
