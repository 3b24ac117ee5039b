package bootfiles

import (
	"cmp"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Recipe is what a set is made from.
type Recipe struct {
	// Root is a folder with Debian's packages unpacked: from Acquire, or / or any
	// other place where they are installed.
	Root string
	// Agent is the path of the agent's static binary for Linux on x86-64.
	Agent string
	// Out is the directory of the set, which must not be there yet.
	Out string
	// Parts is a directory that keeps what was compressed for the next build; empty is
	// the one that Out is in.
	Parts string
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

// Build makes the set and returns it. Its directory appears when it is whole.
//
// Errors: ErrCloudKernel, and those that name the file or package that is not there.
func Build(ctx context.Context, r Recipe) (*Set, error) {
	r.Parts = cmp.Or(r.Parts, filepath.Dir(r.Out))
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
	m, err := r.describe()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(r.Out), 0o755), os.MkdirAll(r.Parts, 0o755)); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(r.Out), "new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := r.copyFiles(tmp, m.KernelVersion, &m); err != nil {
		return nil, err
	}
	if err := r.buildStages(ctx, tmp, &m); err != nil {
		return nil, err
	}
	return r.publish(tmp, m)
}

// Key identifies what Build would make a set from: two recipes with the same key make
// the same set. Errors are those of Build.
func (r Recipe) Key() (string, error) {
	m, err := r.describe()
	if err != nil {
		return "", fmt.Errorf("look at the parts of the boot files: %w", err)
	}
	return m.Key, nil
}

// describe is the manifest without its files.
func (r Recipe) describe() (Manifest, error) {
	if err := checkAgent(r.Agent); err != nil {
		return Manifest{}, err
	}
	version, err := findKernel(r.Root)
	if err != nil {
		return Manifest{}, err
	}
	sum, _, err := hashFile(r.Agent)
	if err != nil {
		return Manifest{}, fmt.Errorf("read agent: %w", err)
	}
	key, err := r.key(version, sum)
	if err != nil {
		return Manifest{}, err
	}
	packages, err := rootPackages(r.Root)
	return Manifest{Key: key, KernelVersion: version, Packages: packages, Agent: Agent{agentCommit(r.Agent), sum}}, err
}

// agentCommit is what Go wrote into the binary (debug/buildinfo).
func agentCommit(path string) string {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// key identifies the inputs by content for the agent, and by path, size and time
// for the packages' files, which are too many to read each time.
func (r Recipe) key(version, sum string) (string, error) {
	h := sha256.New()
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

// publish writes the manifest and moves the set to its place.
func (r Recipe) publish(tmp string, m Manifest) (*Set, error) {
	for i := range m.Files {
		m.Files[i].Path = m.Files[i].Name
	}
	if err := m.Write(tmp); err != nil {
		return nil, err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, r.Out); err != nil {
		return nil, err
	}
	return Open(r.Out)
}

// Write puts the manifest into the directory of its set, by rename.
func (m Manifest) Write(dir string) error {
	b, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, manifestName)
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
