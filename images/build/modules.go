package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// copyModules copies the modules of the list and what they need, and writes the
// tables that modprobe reads.
func (b *build) copyModules(ctx context.Context, root, tree, version string, modules []string) error {
	from := filepath.Join(root, "lib/modules", version)
	busybox := filepath.Join(tree, "bin/busybox")
	if err := b.depmod(ctx, busybox, root, version); err != nil {
		return err
	}
	table, err := os.ReadFile(filepath.Join(from, "modules.dep"))
	if err != nil {
		return err
	}
	for _, file := range moduleClosure(string(table), modules) {
		data, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			return err
		}
		if err := writeFile(tree, File{Path: "/lib/modules/" + version + "/" + file, Content: string(data)}); err != nil {
			return err
		}
	}
	return b.depmod(ctx, busybox, tree, version)
}

// depmod writes the tables of modules, and sorts them: busybox takes the modules in the
// order of folders.
func (b *build) depmod(ctx context.Context, busybox, root, version string) error {
	if _, err := b.run(ctx, busybox, "depmod", "-b", root, version); err != nil {
		return err
	}
	for _, name := range []string{"modules.dep", "modules.alias", "modules.symbols"} {
		table := filepath.Join(root, "lib/modules", version, name)
		data, err := os.ReadFile(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		lines := slices.Sorted(strings.Lines(string(data)))
		if err := os.WriteFile(table, []byte(strings.Join(lines, "")), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// moduleClosure returns the files of the modules and of what they depend on, from
// the lines of modules.dep. Modules that the kernel has built in are not there.
func moduleClosure(table string, names []string) []string {
	needs := map[string][]string{}
	byName := map[string]string{}
	for line := range strings.Lines(table) {
		file, deps, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		needs[file] = strings.Fields(deps)
		name, _, _ := strings.Cut(filepath.Base(file), ".ko")
		byName[strings.ReplaceAll(name, "-", "_")] = file
	}
	var files []string
	var add func(file string)
	add = func(file string) {
		if file == "" || slices.Contains(files, file) {
			return
		}
		files = append(files, file)
		for _, dep := range needs[file] {
			add(dep)
		}
	}
	for _, name := range names {
		add(byName[strings.ReplaceAll(name, "-", "_")])
	}
	slices.Sort(files)
	return files
}

// compressFile writes a file as one zstd frame, which the kernel unpacks.
func compressFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(4<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer enc.Close()
	return os.WriteFile(to, enc.EncodeAll(data, nil), 0o600)
}
