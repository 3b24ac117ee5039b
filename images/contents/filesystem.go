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

// FS is a file system of an image, to be read. Paths have no leading slash and are
// separated by "/"; "." is the top. Links are followed where that is said, and an
// absolute one begins at the top of this file system. It is for one goroutine.
type FS struct {
	raw interface {
		ReadDir(path string) ([]fs.DirEntry, error)
		Open(path string) (fs.File, error)
	}
	open     func(Entry) (io.Reader, error) // of a regular file
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
		part := newReader(disk, p.offset, p.length)
		raw, err := ext4.Read(part, p.length, 0, 512)
		if err != nil {
			return inventory.Invalid("the ext4 file system can't be read: %v", err)
		}
		files, err := newExt4Files(part)
		if err != nil {
			return err
		}
		f = &FS{raw: raw, open: files.openEntry, readLink: raw.ReadLink, stat: raw.Stat, dirs: map[string][]fs.DirEntry{}}
		return nil
	})
	return f, err
}

func openFAT(disk io.ReaderAt, p extent, kind string) (f *FS, err error) {
	err = guard(func() error {
		r := newReader(disk, p.offset, p.length)
		f = &FS{anyCase: true, dirs: map[string][]fs.DirEntry{}}
		f.open = f.openWithin
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

// openWithin opens a file of a FAT file system; there is nothing to close. go-diskfs 1.9.4
// can't open an empty one, and reads on behind the end of others.
func (f *FS) openWithin(e Entry) (io.Reader, error) {
	if e.Info.Size() == 0 {
		return strings.NewReader(""), nil
	}
	file, err := f.raw.Open(e.Path)
	return io.LimitReader(file, e.Info.Size()), err
}

// read opens a regular file by its own path.
func (f *FS) read(e Entry, use func(io.Reader) error) error {
	err := guard(func() error {
		file, err := f.open(e)
		if err != nil {
			return err
		}
		return use(file)
	})
	if err != nil {
		return fmt.Errorf("read /%s of the image: %w", e.Path, err)
	}
	return nil
}
