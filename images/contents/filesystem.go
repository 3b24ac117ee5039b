package contents

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/filesystem/ext4"
	"github.com/diskfs/go-diskfs/filesystem/fat12"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"ingot/inventory"
)

// Limits that no honest image passes.
const (
	maxLinks   = 40
	maxEntries = 1 << 20
	maxDepth   = 256
)

// FS is a file system of an image, to be read. Paths have no leading slash and are
// separated by "/"; "." is the top. Links are followed where that is said, and an
// absolute one begins at the top of this file system. It is for one goroutine.
type FS struct {
	raw interface {
		ReadDir(path string) ([]fs.DirEntry, error)
		Open(path string) (fs.File, error)
	}
	readLink func(path string) (string, error)
	// stat knows the permissions, which the entries of a folder lack.
	stat func(path string) (fs.FileInfo, error)
	// anyCase finds names as FAT does.
	anyCase bool
	dirs    map[string][]fs.DirEntry
}

// Entry is one name in the file system.
type Entry struct {
	// Path is where it is, with links in the folders above it resolved.
	Path string
	// Info is of the entry itself, not of what a link leads to.
	Info fs.FileInfo
	// Target is where a link leads.
	Target string
}

func openExt4(disk io.ReaderAt, p extent) (f *FS, err error) {
	err = guard(func() error {
		raw, err := ext4.Read(newReader(disk, p.offset, p.length), p.length, 0, 512)
		if err != nil {
			return inventory.Invalid("the ext4 file system can't be read: %v", err)
		}
		f = &FS{raw: raw, readLink: raw.ReadLink, stat: raw.Stat, dirs: map[string][]fs.DirEntry{}}
		return nil
	})
	return f, err
}

func openFAT(disk io.ReaderAt, p extent, kind string) (f *FS, err error) {
	err = guard(func() error {
		r := newReader(disk, p.offset, p.length)
		f = &FS{anyCase: true, dirs: map[string][]fs.DirEntry{}}
		switch kind {
		case "fat12":
			f.raw, err = fat12.Read(r, p.length, 0, 512)
		case "fat16":
			f.raw, err = fat16.Read(r, p.length, 0, 512)
		default:
			f.raw, err = fat32.Read(r, p.length, 0, 512)
		}
		return err
	})
	return f, err
}

// ReadDir lists a folder, links followed. It is fs.ErrNotExist when there is none.
func (f *FS) ReadDir(name string) ([]Entry, error) {
	at, err := f.resolve(name, true)
	if err != nil {
		return nil, err
	}
	list, err := f.list(at.Path)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, d := range list {
		e, err := f.entry(path.Join(at.Path, d.Name()), d)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// list reads a folder by its own path, once.
func (f *FS) list(dir string) (list []fs.DirEntry, err error) {
	if list, ok := f.dirs[dir]; ok {
		return list, nil
	}
	err = guard(func() error {
		list, err = f.raw.ReadDir(dir)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read folder /%s of the image: %w", dir, err)
	}
	if len(list) > maxEntries {
		return nil, inventory.Invalid("folder /%s of the image has %d entries", dir, len(list))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	f.dirs[dir] = list
	return list, nil
}

func (f *FS) entry(at string, d fs.DirEntry) (e Entry, err error) {
	e.Path = at
	err = guard(func() error {
		if e.Info, err = d.Info(); err != nil {
			return err
		}
		if e.Info.Mode()&fs.ModeSymlink != 0 {
			e.Target, err = f.readLink(at)
		}
		return err
	})
	return e, err
}

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

func (topInfo) IsDir() bool       { return true }
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

// ReadFile reads a regular file, links followed. One of more than maxBytes is
// inventory.ErrInvalid.
func (f *FS) ReadFile(name string, maxBytes int64) (data []byte, err error) {
	e, err := f.Stat(name)
	if err != nil {
		return nil, err
	}
	if !e.Info.Mode().IsRegular() || e.Info.Size() > maxBytes {
		return nil, inventory.Invalid("/%s of the image is no file of at most %d bytes", name, maxBytes)
	}
	err = f.read(e, func(r io.Reader) error {
		data, err = io.ReadAll(io.LimitReader(r, maxBytes))
		return err
	})
	return data, err
}

// read opens a regular file by its own path.
func (f *FS) read(e Entry, use func(io.Reader) error) error {
	err := guard(func() error {
		file, err := f.raw.Open(e.Path)
		if err != nil {
			return err
		}
		defer file.Close()
		return use(file)
	})
	if err != nil {
		return fmt.Errorf("read /%s of the image: %w", e.Path, err)
	}
	return nil
}

// Walk visits everything below a folder in the order of names, the folder itself not;
// links are not followed. A folder that is not there has nothing below it.
func (f *FS) Walk(dir string, visit func(Entry) error) error {
	at, err := f.resolve(dir, true)
	if err != nil {
		return nil
	}
	count := 0
	return f.walk(at.Path, 0, &count, visit)
}

func (f *FS) walk(dir string, depth int, count *int, visit func(Entry) error) error {
	if depth > maxDepth {
		return inventory.Invalid("/%s of the image: folders more than %d deep", dir, maxDepth)
	}
	list, err := f.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if *count++; *count > 16*maxEntries {
			return inventory.Invalid("the image has more than %d files", 16*maxEntries)
		}
		if err := visit(e); err != nil {
			return err
		}
		if e.Info.IsDir() {
			if err := f.walk(e.Path, depth+1, count, visit); err != nil {
				return err
			}
		}
	}
	return nil
}
