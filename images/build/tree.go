package build

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"ingot/inventory"
)

// Bounds of a file tree from outside.
const (
	maxTreeEntries = 2_000_000
	maxTreeBytes   = 64 << 30
	maxLinkSteps   = 40
)

// tree is the file system of an image before it is one: owners and modes are kept here,
// so that making it needs no privilege. Paths have no leading slash.
type tree struct {
	spool   string // a folder with the contents
	entries map[string]*entry
	linked  map[string]bool // files that have, or had, another name
	next    int
	bytes   int64
	devices bool // whether device nodes are accepted
}

// entry is a file, folder, link or device.
type entry struct {
	kind     byte // tar.TypeReg, TypeDir, TypeSymlink, TypeLink, TypeChar, TypeBlock, TypeFifo
	mode     int64
	uid, gid int
	seconds  int64 // time of the last change
	link     string
	// content is a file in the spool, for regular files.
	content      string
	size         int64
	major, minor int64
	xattrs       map[string]string
}

func newTree(spool string) (*tree, error) {
	t := &tree{spool: spool, entries: map[string]*entry{}, linked: map[string]bool{}}
	t.entries["."] = &entry{kind: tar.TypeDir, mode: 0o755, seconds: sourceDate}
	return t, os.Mkdir(spool, 0o700)
}

// store spools the content of a file.
func (t *tree) store(r io.Reader) (name string, size int64, err error) {
	t.next++
	name = filepath.Join(t.spool, fmt.Sprint(t.next))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", 0, err
	}
	size, err = io.Copy(f, r)
	return name, size, errors.Join(err, f.Close())
}

// add puts an entry at a path. Symbolic links on the way to it are followed, within the
// tree; folders on the way are made.
func (t *tree) add(name string, e *entry) error {
	if len(t.entries) >= maxTreeEntries {
		return inventory.Invalid("more than %d files", maxTreeEntries)
	}
	dir, err := t.resolve(path.Dir(name), 0)
	if err != nil {
		return err
	}
	t.makeDirs(dir)
	name = path.Join(dir, path.Base(name))
	if name == "." && e.kind != tar.TypeDir {
		return inventory.Invalid("the root is not a folder")
	}
	if e.kind == tar.TypeLink {
		if e.link == name {
			return inventory.Invalid("a hard link to itself")
		}
		t.linked[e.link] = true
	}
	if old := t.entries[name]; old != nil && (old.kind != tar.TypeDir || e.kind != tar.TypeDir) {
		t.remove(name)
	}
	t.entries[name] = e
	return nil
}

// resolve follows the symbolic links of a folder's path.
func (t *tree) resolve(dir string, steps int) (string, error) {
	at := "."
	parts := strings.Split(dir, "/")
	for i, part := range parts {
		switch part {
		case ".", "":
			continue
		case "..": // of a link's target; the root's parent is the root
			at = path.Dir(at)
			continue
		}
		at = path.Join(at, part)
		e := t.entries[at]
		if e == nil || e.kind == tar.TypeDir {
			continue
		}
		if e.kind != tar.TypeSymlink {
			return "", inventory.Invalid("%s is not a folder", at)
		}
		if steps++; steps > maxLinkSteps {
			return "", inventory.Invalid("%s: too many symbolic links", dir)
		}
		target := e.link
		if !path.IsAbs(target) {
			target = path.Dir(at) + "/" + target
		}
		return t.resolve(target+"/"+strings.Join(parts[i+1:], "/"), steps)
	}
	return at, nil
}

func (t *tree) makeDirs(dir string) {
	for ; t.entries[dir] == nil; dir = path.Dir(dir) {
		t.entries[dir] = &entry{kind: tar.TypeDir, mode: 0o755, seconds: sourceDate}
	}
}

// write puts a file at an absolute path, over what is there.
func (t *tree) write(f File) error {
	name, size, err := t.store(strings.NewReader(f.Content))
	if err != nil {
		return err
	}
	mode := int64(f.Mode)
	if mode == 0 {
		mode = 0o644
	}
	return t.add(strings.TrimPrefix(path.Clean(f.Path), "/"), &entry{kind: tar.TypeReg, mode: mode, seconds: sourceDate, content: name, size: size})
}

// mkdir makes a folder at a relative path, or changes its mode.
func (t *tree) mkdir(name string, mode int64) error {
	return t.add(name, &entry{kind: tar.TypeDir, mode: mode, seconds: sourceDate})
}

// blocks4K is the room that the contents take, in blocks of 4 KiB, roughly.
func (t *tree) blocks4K() int64 {
	var n int64
	for _, e := range t.entries {
		n += (e.size + 4095) / 4096
		if e.kind == tar.TypeDir {
			n++
		}
	}
	return n
}

// unixTime is for debugfs.
func (e *entry) unixTime() string {
	return time.Unix(e.seconds, 0).UTC().Format("20060102150405")
}

// has reports whether there is something at a path, links followed once.
func (t *tree) has(name string) bool {
	dir, err := t.resolve(path.Dir(name), 0)
	return err == nil && t.entries[path.Join(dir, path.Base(name))] != nil
}

// addFile adds a file of this machine, as root's and readable.
func (t *tree) addFile(name, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	content, size, err := t.store(f)
	if err != nil {
		return err
	}
	return t.add(filepath.ToSlash(name), &entry{kind: tar.TypeReg, mode: 0o644, seconds: sourceDate, content: content, size: size})
}
