package bootfiles

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// firmwareDirs are searched in this order below the root, as the kernel does.
var firmwareDirs = []string{"lib/firmware", "usr/lib/firmware"}

// findFirmware returns the files, relative to /lib/firmware, that a module's
// firmware entry stands for, with the targets of links. Nothing means that no
// package in the root has it.
func findFirmware(root, entry string) ([]string, error) {
	var files []string
	for _, dir := range firmwareDirs {
		base := filepath.Join(root, dir)
		found, err := filepath.Glob(filepath.Join(globEscape(base), entry))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			chain, err := followLinks(base, f)
			if err != nil {
				return nil, err
			}
			files = append(files, chain...)
		}
		if len(files) > 0 {
			return files, nil
		}
	}
	return nil, nil
}

// followLinks is the file and, for a link, what it leads to inside base. A link
// that leads nowhere yields nothing.
func followLinks(base, file string) ([]string, error) {
	var chain []string
	for range 8 {
		rel, err := filepath.Rel(base, file)
		if err != nil || strings.HasPrefix(rel, "..") {
			return nil, err
		}
		info, err := os.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		chain = append(chain, rel)
		if info.Mode()&fs.ModeSymlink == 0 {
			return chain, nil
		}
		target, err := os.Readlink(file)
		if err != nil {
			return nil, err
		}
		file = filepath.Join(filepath.Dir(file), target)
	}
	return nil, nil
}

func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// addFirmware packs one file or link from the root.
func addFirmware(a *archive, root, name string) error {
	for _, dir := range firmwareDirs {
		file := filepath.Join(root, dir, name)
		info, err := os.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		dest := path.Join("lib/firmware", name)
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			a.link(dest, target)
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		a.file(dest, 0o644, data)
		return nil
	}
	return fs.ErrNotExist
}
