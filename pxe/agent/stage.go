package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// stageFile describes the second stage; the first stage vouches for it. stageMark is
// there when the second stage is unpacked already: on boot media, which bring both.
const (
	stageFile = "etc/ingot/stage2.json"
	stageMark = "etc/ingot/stage2.unpacked"
)

// Bounds of a part of the second stage, as it is fetched and unpacked.
const (
	maxPartBytes     = 64 << 20
	maxUnpackedBytes = 256 << 20
)

// Stage is the second stage as the first one names it: a row of archives.
type Stage struct {
	Parts []StagePart `json:"parts"`
}

// StagePart is one archive: a module, whose path below the root is File, with its
// firmware; without File, the module tables.
type StagePart struct {
	File      string `json:"file"`
	Offset    int64  `json:"offset"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
}

// stage is the second stage. Few of its hundreds of modules are ever loaded, so a part is
// fetched when its module is; the firmware in it is written out, the module stays in
// memory.
type stage struct {
	root  string
	parts map[string]StagePart
	// fetch gets the bytes of a part; broken is the first error of it.
	fetch  func(StagePart) ([]byte, error)
	broken error
	// files are the modules and their tables that were fetched, by name below the root.
	files map[string][]byte
	dec   *zstd.Decoder
}

// openStage opens the second stage that belongs to the first stage in root: nil when it is
// unpacked there already. Each part is checked against its hash before anything looks
// into it.
func openStage(ctx context.Context, root string, f fetcher, url string) (*stage, error) {
	if _, err := os.Stat(below(root, stageMark)); err == nil {
		return nil, nil
	}
	text, err := os.ReadFile(below(root, stageFile))
	if err != nil {
		return nil, fmt.Errorf("second stage: %w", err)
	}
	var all Stage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read %s: %w", stageFile, err)
	}
	s := &stage{root: root, parts: map[string]StagePart{}, files: map[string][]byte{}}
	s.fetch = func(p StagePart) ([]byte, error) { return f.span(ctx, url, p.Offset, p.SizeBytes) }
	for _, p := range all.Parts {
		if p.Offset < 0 || p.SizeBytes <= 0 || p.SizeBytes > maxPartBytes {
			return nil, fmt.Errorf("read %s: part %q of %d bytes at %d", stageFile, p.File, p.SizeBytes, p.Offset)
		}
		s.parts[p.File] = p
	}
	if s.dec, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpackedBytes)); err != nil {
		return nil, fmt.Errorf("second stage: %w", err)
	}
	if err := s.bring(""); err != nil {
		return nil, err
	}
	return s, nil
}

const firmwareDir = "lib/firmware/"

// file returns a module or a table; one that the stage doesn't have is fs.ErrNotExist.
func (s *stage) file(name string) ([]byte, error) {
	if _, ok := s.files[name]; !ok {
		if err := s.bring(name); err != nil {
			return nil, err
		}
	}
	return s.files[name], nil
}

// failed returns the first error of fetching a part, after which drivers are missing.
func (s *stage) failed() error {
	if s == nil {
		return nil
	}
	return s.broken
}

// bring fetches a part and takes it apart.
func (s *stage) bring(file string) error {
	part, ok := s.parts[file]
	if !ok {
		return fmt.Errorf("second stage: %q: %w", file, fs.ErrNotExist)
	}
	packed, err := s.fetch(part)
	if err == nil {
		if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != part.SHA256 {
			err = errors.New("what the server has is not the one that belongs to this first stage")
		}
	}
	if err == nil {
		err = s.unpack(packed)
	}
	if err == nil && file != "" && s.files[file] == nil {
		err = fmt.Errorf("its part has no %s", file)
	}
	if err != nil {
		err = fmt.Errorf("second stage: %w", err)
		if s.broken == nil {
			s.broken = err
		}
	}
	return err
}

// unpack keeps the modules and tables of a part and writes its firmware out.
func (s *stage) unpack(packed []byte) error {
	archive, err := s.dec.DecodeAll(packed, nil)
	if err != nil {
		return err
	}
	r := newcReader{rest: archive}
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(f.Name, firmwareDir):
			err = writeEntry(s.root, f)
		case strings.HasPrefix(f.Name, "lib/modules/") && f.Mode.IsRegular():
			s.files[f.Name] = f.Data
		}
		if err != nil {
			return err
		}
	}
}

// writeEntry writes a file, a folder or a link below root.
func writeEntry(root string, f newcFile) error {
	name := below(root, f.Name)
	if f.Mode.IsDir() {
		return os.MkdirAll(name, 0o755)
	}
	if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch {
	case f.Mode.IsRegular():
		return os.WriteFile(name, f.Data, 0o644)
	case f.Mode&fs.ModeSymlink != 0:
		if err := os.Symlink(string(f.Data), name); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
