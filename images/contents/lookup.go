package contents

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"ingot/inventory"
)

// Limits that no honest image passes.
const (
	maxLinks   = 40
	maxEntries = 1 << 20
	maxDepth   = 256
)

// Stat finds a name, following links. It is fs.ErrNotExist when there is none.
func (f *FS) Stat(name string) (Entry, error) { return f.resolve(name, true) }

// Lstat finds a name and does not follow the last link.
func (f *FS) Lstat(name string) (Entry, error) { return f.resolve(name, false) }

// Exists reports whether a name is there, and where it leads.
func (f *FS) Exists(name string) bool {
	_, err := f.Stat(name)
	return err == nil
}

// top is the entry of the top folder.
var top = Entry{Path: ".", Info: topInfo{}}

type topInfo struct{ readerInfo }

func (topInfo) IsDir() bool { return true }

func (topInfo) Mode() fs.FileMode { return fs.ModeDir | 0o755 }

func (f *FS) resolve(name string, follow bool) (Entry, error) {
	rest := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	at := top
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			up, err := f.resolve(path.Dir(at.Path), false)
			if err != nil {
				return at, err
			}
			at = up
			continue
		}
		if !at.Info.IsDir() {
			return at, fmt.Errorf("/%s: %w", name, fs.ErrNotExist)
		}
		next, err := f.find(at.Path, part)
		if err != nil {
			return at, fmt.Errorf("/%s: %w", name, err)
		}
		if next.Target == "" || len(rest) == 0 && !follow {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return at, inventory.Invalid("/%s of the image: more than %d links, one after the other", name, maxLinks)
		}
		if path.IsAbs(next.Target) {
			at = top
		}
		rest = append(strings.Split(next.Target, "/"), rest...)
	}
	return at, nil
}

func (f *FS) find(dir, name string) (Entry, error) {
	list, err := f.list(dir)
	if err != nil {
		return Entry{}, err
	}
	for _, d := range list {
		if d.Name() == name || f.anyCase && strings.EqualFold(d.Name(), name) {
			return f.entry(path.Join(dir, d.Name()), d)
		}
	}
	return Entry{}, fs.ErrNotExist
}
