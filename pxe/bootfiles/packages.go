package bootfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Package is a Debian package with its version.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// debsName is a list, inside a root, of the package files that are unpacked in it.
const debsName = "ingot-debs.txt"

// writeDebs lists the package files in a root that has no such list yet.
func writeDebs(root string, debs []string) error {
	path := filepath.Join(root, debsName)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var list strings.Builder
	for _, d := range debs {
		list.WriteString(filepath.Base(d) + "\n")
	}
	tmp := fmt.Sprintf("%s.new-%d", path, os.Getpid())
	if err := os.WriteFile(tmp, []byte(list.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// rootPackages are the packages of a root, nil for one that was not made by Acquire.
func rootPackages(root string) ([]Package, error) {
	text, err := os.ReadFile(filepath.Join(root, debsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var list []Package
	for line := range strings.Lines(string(text)) {
		if p, ok := parseDeb(strings.TrimSpace(line)); ok {
			list = append(list, p)
		}
	}
	return list, err
}

// parseDeb reads the name of a package file as apt-get download writes it:
// NAME_VERSION_ARCHITECTURE.deb, with the colon of an epoch as %3a.
func parseDeb(file string) (Package, bool) {
	f := strings.Split(strings.TrimSuffix(file, ".deb"), "_")
	if len(f) != 3 {
		return Package{}, false
	}
	version, err := url.PathUnescape(f[1])
	if f[2] != "amd64" && f[2] != "all" {
		f[0] += ":" + f[2]
	}
	return Package{f[0], version}, err == nil
}
