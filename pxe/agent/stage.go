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

// Bounds of the second stage, as it is fetched and unpacked.
const (
	maxStageBytes    = 256 << 20
	maxUnpackedBytes = 1 << 30
)

// Stage is the second stage as the first one names it.
type Stage struct {
	SHA256    string `json:"sha256"`
	SizeBytes int64  `json:"size_bytes"`
}

// stage is a second stage in memory. Few of its hundreds of modules are ever loaded, so
// it is not unpacked: modules are taken from memory, and firmware is written out when the
// first module that asks for some is loaded.
type stage struct {
	root   string
	packed []byte
	// files are the modules and their tables, by name below the root.
	files map[string][]byte
	// firmware is set while there is some that isn't written out.
	firmware bool
}

// fetchStage gets the second stage that belongs to the first stage in root: nil when it is
// unpacked there already. Its hash is checked before anything looks into it.
func fetchStage(ctx context.Context, root string, f fetcher, url string) (*stage, error) {
	if _, err := os.Stat(below(root, stageMark)); err == nil {
		return nil, nil
	}
	text, err := os.ReadFile(below(root, stageFile))
	if err != nil {
		return nil, fmt.Errorf("second stage: %w", err)
	}
	var want Stage
	if err := json.Unmarshal(text, &want); err != nil {
		return nil, fmt.Errorf("read %s: %w", stageFile, err)
	}
	if want.SizeBytes <= 0 || want.SizeBytes > maxStageBytes {
		return nil, fmt.Errorf("read %s: size of %d bytes", stageFile, want.SizeBytes)
	}
	data, err := f.get(ctx, url, want.SizeBytes)
	if err != nil {
		return nil, fmt.Errorf("second stage: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want.SHA256 {
		return nil, fmt.Errorf("second stage from %s is not the one that belongs to this first stage", url)
	}
	return openStage(root, data)
}

// openStage reads a stage into memory, but for its firmware.
func openStage(root string, packed []byte) (*stage, error) {
	s := &stage{root: root, packed: packed, files: map[string][]byte{}}
	err := s.each(func(f newcFile) error {
		switch {
		case strings.HasPrefix(f.Name, firmwareDir):
			s.firmware = true
		case strings.HasPrefix(f.Name, "lib/modules/") && f.Mode.IsRegular():
			s.files[f.Name] = f.Data
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("second stage: %w", err)
	}
	return s, nil
}

const firmwareDir = "lib/firmware/"

// writeFirmware puts the stage's firmware where the kernel looks for it. It does so once.
func (s *stage) writeFirmware() error {
	if s == nil || !s.firmware {
		return nil
	}
	err := s.each(func(f newcFile) error {
		if !strings.HasPrefix(f.Name, firmwareDir) {
			return nil
		}
		return writeEntry(s.root, f)
	})
	if err != nil {
		return fmt.Errorf("write firmware: %w", err)
	}
	s.firmware = false
	return nil
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

// unpackedTimes is how much larger a stage is about when it is unpacked. Room for that
// much, which costs nothing until it is used, spares the decoder from moving its output.
const unpackedTimes = 10

// each decodes the stage and gives its entries in turn.
func (s *stage) each(do func(newcFile) error) error {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpackedBytes))
	if err != nil {
		return err
	}
	defer dec.Close()
	archive, err := dec.DecodeAll(s.packed, make([]byte, 0, min(unpackedTimes*len(s.packed), maxUnpackedBytes)))
	if err != nil {
		return err
	}
	r := newcReader{rest: archive}
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = do(f)
		}
		if err != nil {
			return err
		}
	}
}
