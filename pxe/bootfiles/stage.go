package bootfiles

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
)

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
	drivers, err := p.firstStage(ctx, s.first)
	if err != nil {
		return fmt.Errorf("first stage: %w", err)
	}
	second, ref, err := p.secondStage(ctx, s)
	if err != nil {
		return fmt.Errorf("second stage: %w", err)
	}
	if err := m.write(dir, SecondStage, X64, "built", second); err != nil {
		return err
	}
	head, err := p.head(ctx, ref)
	if err != nil {
		return fmt.Errorf("first stage: %w", err)
	}
	// The kernel unpacks archives that follow each other, each compressed by itself.
	if err := m.write(dir, FirstStage, X64, "built", slices.Concat(drivers, head)); err != nil {
		return err
	}
	return p.removeParts()
}

// packer packs modules and firmware into stages. Firmware that the first stage has is
// not in the second.
type packer struct {
	recipe   Recipe
	tree     *moduleTree
	manifest *Manifest
	firmware map[string]bool
	parts    []string // the compressed archives that were made or used
}

// head makes what only the first stage has, and what changes most often: the
// agent, and what it must know of the second stage.
func (p *packer) head(ctx context.Context, second StageRef) ([]byte, error) {
	ref, err := json.Marshal(second)
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
	return compress(ctx, p.recipe.Root, a.bytes())
}

// firstStage packs the modules of the first stage and their tables.
func (p *packer) firstStage(ctx context.Context, names []string) ([]byte, error) {
	a := newArchive()
	for _, name := range names {
		if err := p.pack(ctx, a, name, p.firmware); err != nil {
			return nil, err
		}
	}
	if err := p.packTables(a, names); err != nil {
		return nil, err
	}
	data, path, err := p.part(ctx, a)
	p.parts = append(p.parts, path)
	return data, err
}

// pack packs a module with its firmware, but for the files that are there already.
func (p *packer) pack(ctx context.Context, a *archive, name string, there map[string]bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, err := readModule(filepath.Join(p.tree.dir, p.tree.paths[name]))
	if err != nil {
		return err
	}
	a.file(p.moduleFile(p.tree.packedPath(name)), 0o644, data)
	if err := p.packFirmware(a, name, there); err != nil {
		return fmt.Errorf("firmware of module %s: %w", name, err)
	}
	return nil
}

// packFirmware packs what a module asks for and is not there.
func (p *packer) packFirmware(a *archive, module string, there map[string]bool) error {
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
			if there[f] {
				continue
			}
			there[f] = true
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
