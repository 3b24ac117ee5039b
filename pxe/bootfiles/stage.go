package bootfiles

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// StageRef is what the first stage knows of the second: the content of the file
// at StageRefPath.
type StageRef struct {
	Name      string `json:"name"`
	SHA256    string `json:"sha256"`
	SizeBytes int64  `json:"size_bytes"`
}

// StageRefPath is where the agent finds the StageRef.
const StageRefPath = "/etc/ingot/stage2.json"

// StageMarkPath exists where the second stage is unpacked: after the agent did it,
// or from the start on a boot medium, which brings both stages.
const StageMarkPath = "/etc/ingot/stage2.unpacked"

// checkStatic reports whether path is an x86-64 Linux program that needs no other file.
func checkStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Machine != elf.EM_X86_64 {
		return fmt.Errorf("it is for %v, not for x86-64", f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("it is not static")
		}
	}
	return nil
}

// buildStages makes both stages in dir.
func (r Recipe) buildStages(ctx context.Context, dir string, m *Manifest) error {
	wanted, err := parseModules(modulesTable)
	if err != nil {
		return err
	}
	tree, err := readModuleTree(moduleRoot(r.Root, m.KernelVersion))
	if err != nil {
		return err
	}
	s, err := divide(tree, wanted)
	if err != nil {
		return err
	}
	m.FirstStageModules, m.SecondStageModules, m.AbsentModules = s.first, s.second, s.absent
	p := &packer{recipe: r, tree: tree, manifest: m, firmware: map[string]bool{}}
	drivers, err := p.compressed(ctx, s.first, s.first)
	if err != nil {
		return fmt.Errorf("first stage: %w", err)
	}
	second, err := p.compressed(ctx, s.second, slices.Concat(s.first, s.second), StageMarkPath)
	if err != nil {
		return fmt.Errorf("second stage: %w", err)
	}
	if err := m.write(dir, SecondStage, X64, "built", second); err != nil {
		return err
	}
	head, err := p.head(ctx)
	if err != nil {
		return fmt.Errorf("first stage: %w", err)
	}
	// The kernel unpacks archives that follow each other, each compressed by itself.
	if err := m.write(dir, FirstStage, X64, "built", slices.Concat(drivers, head)); err != nil {
		return err
	}
	return p.removeParts()
}

// packer packs modules and firmware into stages. Firmware that one stage has is
// not in the next.
type packer struct {
	recipe   Recipe
	tree     *moduleTree
	manifest *Manifest
	firmware map[string]bool
	parts    []string // the compressed archives that were made or used
}

// head makes what only the first stage has, and what changes most often: the
// agent, and what it must know of the second stage, which is the last file of the
// manifest.
func (p *packer) head(ctx context.Context) ([]byte, error) {
	second := p.manifest.Files[len(p.manifest.Files)-1]
	ref, err := json.Marshal(StageRef{Name: second.Name, SHA256: second.SHA256, SizeBytes: second.SizeBytes})
	if err != nil {
		return nil, err
	}
	agent, err := os.ReadFile(p.recipe.Agent)
	if err != nil {
		return nil, err
	}
	a := newArchive()
	a.file("init", 0o755, agent)
	a.file(StageRefPath[1:], 0o644, append(ref, '\n'))
	for _, d := range []string{"dev", "proc", "sys", "run", "mnt"} {
		a.dir(d, 0o755)
	}
	a.dir("tmp", 0o1777)
	a.char("dev/console", 0o600, 5, 1) // the kernel opens it before /init runs
	a.char("dev/null", 0o666, 1, 3)
	var b bytes.Buffer
	err = compress(ctx, p.recipe.Root, &b, a.writeTo)
	return b.Bytes(), err
}

// compressed packs a stage of modules and compresses it, or takes the compressed
// archive that an earlier build left beside the set for the same content. marks
// are empty files in it.
func (p *packer) compressed(ctx context.Context, names, all []string, marks ...string) ([]byte, error) {
	a, err := p.pack(ctx, names, all)
	if err != nil {
		return nil, err
	}
	for _, mark := range marks {
		a.file(mark[1:], 0o644, nil)
	}
	h := sha256.New()
	if err := a.writeTo(h); err != nil {
		return nil, err
	}
	part := filepath.Join(p.recipe.Out, partPrefix+hex.EncodeToString(h.Sum(nil)))
	p.parts = append(p.parts, part)
	if b, err := os.ReadFile(part); err == nil {
		return b, nil
	}
	p.recipe.Log.Info("compressing kernel modules", "count", len(names))
	var b bytes.Buffer
	if err := compress(ctx, p.recipe.Root, &b, a.writeTo); err != nil {
		return nil, err
	}
	if err := os.WriteFile(part+".new", b.Bytes(), 0o644); err != nil {
		return nil, err
	}
	return b.Bytes(), os.Rename(part+".new", part)
}

// partPrefix starts the names of compressed archives that later builds can use.
const partPrefix = "part-"

// removeParts removes those that this build had no use for.
func (p *packer) removeParts() error {
	files, err := filepath.Glob(filepath.Join(globEscape(p.recipe.Out), partPrefix+"*"))
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

// pack makes a stage of modules with their firmware, and the module tables for
// all that the agent has once the stage is unpacked.
func (p *packer) pack(ctx context.Context, names, all []string) (*archive, error) {
	a := newArchive()
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := readModule(filepath.Join(p.tree.dir, p.tree.paths[name]))
		if err != nil {
			return nil, err
		}
		a.file(p.moduleFile(p.tree.packedPath(name)), 0o644, data)
		if err := p.packFirmware(a, name); err != nil {
			return nil, fmt.Errorf("firmware of module %s: %w", name, err)
		}
	}
	return a, p.packTables(a, all)
}

// packFirmware packs what a module asks for and no earlier one did.
func (p *packer) packFirmware(a *archive, module string) error {
	info, err := p.tree.info(module)
	if err != nil {
		return err
	}
	for _, want := range info.firmware {
		files, err := findFirmware(p.recipe.Root, want)
		if err != nil {
			return err
		}
		if len(files) == 0 {
			p.manifest.MissingFirmware = append(p.manifest.MissingFirmware, Missing{Module: module, Firmware: want})
		}
		for _, f := range files {
			if p.firmware[f] {
				continue
			}
			p.firmware[f] = true
			if err := addFirmware(a, p.recipe.Root, f); err != nil {
				return fmt.Errorf("%s: %w", f, err)
			}
		}
	}
	return nil
}

func (p *packer) moduleFile(rel string) string {
	return path.Join("lib/modules", p.manifest.KernelVersion, filepath.ToSlash(rel))
}

// packTables packs what a loader of modules reads, as depmod writes it.
func (p *packer) packTables(a *archive, names []string) error {
	for file, make := range map[string]func([]string) (string, error){
		"modules.dep":     p.tree.depLines,
		"modules.alias":   p.tree.aliasLines,
		"modules.softdep": p.tree.softdepLines,
	} {
		text, err := make(names)
		if err != nil {
			return err
		}
		a.file(p.moduleFile(file), 0o644, []byte(text))
	}
	for _, file := range []string{"modules.builtin", "modules.order"} {
		data, err := os.ReadFile(filepath.Join(p.tree.dir, file))
		if err != nil {
			return err
		}
		a.file(p.moduleFile(file), 0o644, data)
	}
	return nil
}
