package bootfiles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// StageRef is what the first stage knows of the second: the content of the file
// at StageRefPath. The second stage is a row of parts, each an archive of its own: the
// module tables first, then each module with its firmware. So the agent fetches those
// that the machine has use for, and the kernel unpacks them all from a boot medium.
type StageRef struct {
	Name      string      `json:"name"`
	SizeBytes int64       `json:"size_bytes"`
	Parts     []StagePart `json:"parts"`
}

// StagePart is a compressed archive within the second stage. File is the module in it,
// as a path below the root; it is empty for the tables.
type StagePart struct {
	File      string `json:"file,omitempty"`
	Offset    int64  `json:"offset"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
}

// StageRefPath is where the agent finds the StageRef.
const StageRefPath = "/etc/ingot/stage2.json"

// StageMarkPath exists where the second stage is unpacked: on a boot medium, which brings
// both stages.
const StageMarkPath = "/etc/ingot/stage2.unpacked"

// secondStage packs the second stage, and tells where its parts are.
func (p *packer) secondStage(ctx context.Context, s stages) ([]byte, StageRef, error) {
	files, archives, err := p.secondArchives(ctx, s)
	if err != nil {
		return nil, StageRef{}, err
	}
	p.recipe.Log.Info("compressing kernel modules", "count", len(s.second))
	packed, paths := make([][]byte, len(files)), make([]string, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, a := range archives {
		group.Go(func() (err error) {
			packed[i], paths[i], err = p.part(ctx, a)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, StageRef{}, err
	}
	p.parts = append(p.parts, paths...)
	ref := StageRef{Name: SecondStage}
	for i, file := range files {
		sum := sha256.Sum256(packed[i])
		ref.Parts = append(ref.Parts, StagePart{File: file, Offset: ref.SizeBytes, SizeBytes: int64(len(packed[i])), SHA256: hex.EncodeToString(sum[:])})
		ref.SizeBytes += int64(len(packed[i]))
	}
	return slices.Concat(packed...), ref, nil
}

// secondArchives are the tables, and each module that the first stage has not.
func (p *packer) secondArchives(ctx context.Context, s stages) (files []string, archives []*archive, err error) {
	tables := newArchive()
	tables.file(StageMarkPath[1:], 0o644, nil)
	if err := p.packTables(tables, slices.Concat(s.first, s.second)); err != nil {
		return nil, nil, err
	}
	files, archives = append(files, ""), append(archives, tables)
	for _, name := range s.second {
		a := newArchive()
		if err := p.pack(ctx, a, name, maps.Clone(p.firmware)); err != nil {
			return nil, nil, err
		}
		files, archives = append(files, p.moduleFile(p.tree.packedPath(name))), append(archives, a)
	}
	return files, archives, nil
}

// part compresses an archive, or takes what an earlier build left for the same content.
func (p *packer) part(ctx context.Context, a *archive) (data []byte, path string, err error) {
	plain := a.bytes()
	sum := sha256.Sum256(plain)
	path = filepath.Join(p.recipe.Parts, partPrefix+hex.EncodeToString(sum[:]))
	if b, err := os.ReadFile(path); err == nil {
		return b, path, nil
	}
	if data, err = compress(ctx, p.recipe.Root, plain); err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		return nil, "", err
	}
	return data, path, os.Rename(path+".new", path)
}

// partPrefix starts the names of compressed archives that later builds can use.
const partPrefix = "part-"

// removeParts removes those that this build had no use for.
func (p *packer) removeParts() error {
	files, err := filepath.Glob(filepath.Join(globEscape(p.recipe.Parts), partPrefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range files {
		if !slices.Contains(p.parts, f) {
			errs = append(errs, os.Remove(f))
		}
	}
	return errors.Join(errs...)
}
