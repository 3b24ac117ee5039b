package bootfiles

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Arch is the processor architecture a file is for.
type Arch string

// The architectures.
const (
	X64   Arch = "x64"
	ARM64 Arch = "arm64"
)

// The names of the set: what DHCP offers, and what loaders ask for.
const (
	ShimX64     = "shimx64.efi"   // signed by Microsoft; loads grubx64.efi from its own folder
	GrubX64     = "grubx64.efi"   // Debian's signed network GRUB
	MokX64      = "mmx64.efi"     // shim's key manager
	SNPOnly     = "snponly.efi"   // iPXE over the firmware's own network driver
	IPXE        = "ipxe.efi"      // iPXE with all its drivers
	UndiOnly    = "undionly.kpxe" // iPXE for BIOS over the card's PXE ROM
	ShimARM64   = "shimaa64.efi"
	GrubARM64   = "grubaa64.efi"
	Kernel      = "vmlinuz"
	FirstStage  = "initrd.img"
	SecondStage = "modules.img"
)

const manifestName = "manifest.json"

// File is one file of the set.
type File struct {
	Name      string `json:"name"`
	Arch      Arch   `json:"arch"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
	// Origin is the Debian file it is a copy of, or "built".
	Origin string `json:"origin"`
	// Path is relative to the manifest.
	Path string `json:"path"`
}

// Missing is firmware that a module asks for and no package in the root has.
type Missing struct {
	Module   string `json:"module"`
	Firmware string `json:"firmware"`
}

// Manifest stands beside the files as manifest.json.
type Manifest struct {
	// Key identifies what the set was made from; the same key is the same set.
	Key           string `json:"key"`
	KernelVersion string `json:"kernel_version"`
	// Packages are Debian's that the set was made from; none when the root was not
	// fetched by Acquire.
	Packages []Package `json:"packages,omitempty"`
	Agent    Agent     `json:"agent"`
	Files    []File    `json:"files"`
	// FirstStageModules and SecondStageModules are the modules in each stage, by
	// the kernel's names.
	FirstStageModules  []string `json:"first_stage_modules"`
	SecondStageModules []string `json:"second_stage_modules"`
	// AbsentModules are wanted and not in this kernel.
	AbsentModules []string `json:"absent_modules"`
	// MissingFirmware is not packaged by Debian, or its package was not there.
	MissingFirmware []Missing `json:"missing_firmware"`
	// AbsentFiles are names of the set that the packages did not have.
	AbsentFiles []string `json:"absent_files"`
}

// Agent is the agent's binary in the first stage.
type Agent struct {
	// Version is the commit that it was built from, empty when it doesn't say.
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256"`
}

// Digest identifies the set by content: the SHA-256 of its files' names and hashes.
func (m Manifest) Digest() string {
	var lines []string
	for _, f := range m.Files {
		lines = append(lines, f.SHA256+"  "+f.Name+"\n")
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Set is the closed set of files in a directory. Its methods may be called from
// any goroutine.
type Set struct {
	dir      string
	manifest Manifest
	files    map[string]File
}

// Open reads the set that Build made in dir. No set is fs.ErrNotExist.
func Open(dir string) (*Set, error) {
	path := filepath.Join(dir, manifestName)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open boot files: %w: make them with `ingot agent build`", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open boot files: %w", err)
	}
	s := &Set{dir: dir, files: map[string]File{}}
	if err := json.Unmarshal(b, &s.manifest); err != nil {
		return nil, fmt.Errorf("open boot files: read %s: %w", path, err)
	}
	for _, f := range s.manifest.Files {
		if !filepath.IsLocal(f.Path) {
			return nil, fmt.Errorf("open boot files: %s: file %q has the path %q outside of the set", path, f.Name, f.Path)
		}
		info, err := os.Stat(filepath.Join(dir, f.Path))
		if err != nil {
			return nil, fmt.Errorf("open boot files: %w", err)
		}
		if info.Size() != f.SizeBytes {
			return nil, fmt.Errorf("open boot files: %s has %d bytes, the manifest says %d: run `ingot agent build` again", f.Name, info.Size(), f.SizeBytes)
		}
		s.files[f.Name] = f
	}
	return s, nil
}

// Manifest describes the set.
func (s *Set) Manifest() Manifest { return s.manifest }

// Names are the names of the set, sorted.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.files)) }

// File describes one file; an unknown name is fs.ErrNotExist.
func (s *Set) File(name string) (File, error) {
	f, ok := s.files[name]
	if !ok {
		return File{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f, nil
}

// Open opens a file for serving; the caller closes it. An unknown name is
// fs.ErrNotExist, and so is every name with a folder in it.
func (s *Set) Open(name string) (*os.File, File, error) {
	f, err := s.File(name)
	if err != nil {
		return nil, File{}, err
	}
	file, err := os.Open(filepath.Join(s.dir, f.Path))
	return file, f, err
}

// Verify reads every file and compares it with its SHA-256.
func (s *Set) Verify() error {
	for _, f := range s.manifest.Files {
		sum, _, err := hashFile(filepath.Join(s.dir, f.Path))
		if err != nil {
			return fmt.Errorf("verify %s: %w", f.Name, err)
		}
		if sum != f.SHA256 {
			return fmt.Errorf("verify %s: SHA-256 is %s, the manifest says %s: run `ingot agent build` again", f.Name, sum, f.SHA256)
		}
	}
	return nil
}

func hashFile(path string) (sum string, sizeBytes int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
