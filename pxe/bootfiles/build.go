package bootfiles

import (
	"cmp"
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
)

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
