package build

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
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

// readTar adds the entries of a tar archive: each must stay inside, and come after what
// it is in or links to. Times after sourceDate become sourceDate.
func (t *tree) readTar(r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive of files: %w", err)
		}
		if err := t.addTar(h, archive); err != nil {
			return fmt.Errorf("archive of files: entry %q: %w", h.Name, err)
		}
	}
}

func (t *tree) addTar(h *tar.Header, r io.Reader) error {
	name, err := t.inside(h.Name)
	if err != nil {
		return err
	}
	e := &entry{kind: h.Typeflag, mode: h.Mode & 0o7777, uid: h.Uid, gid: h.Gid, seconds: min(h.ModTime.Unix(), sourceDate), link: h.Linkname, major: h.Devmajor, minor: h.Devminor}
	for key, v := range h.PAXRecords {
		if attr, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			if e.xattrs == nil {
				e.xattrs = map[string]string{}
			}
			e.xattrs[attr] = v
		}
	}
	if e.uid < 0 || e.gid < 0 || e.uid > 1<<31 || e.gid > 1<<31 {
		return inventory.Invalid("owner %d:%d", e.uid, e.gid)
	}
	switch e.kind {
	case tar.TypeReg:
		if t.bytes += h.Size; h.Size < 0 || t.bytes > maxTreeBytes {
			return inventory.Invalid("more than %d bytes in all", int64(maxTreeBytes))
		}
		if e.content, e.size, err = t.store(r); err != nil {
			return err
		}
	case tar.TypeLink:
		if e.link, err = t.inside(h.Linkname); err != nil {
			return err
		}
		dir, err := t.resolve(path.Dir(e.link), 0)
		if err != nil {
			return err
		}
		e.link = path.Join(dir, path.Base(e.link))
		if target := t.entries[e.link]; target == nil || target.kind == tar.TypeDir || target.kind == tar.TypeLink {
			return inventory.Invalid("hard link to %q, which is not a file before it", h.Linkname)
		}
	case tar.TypeSymlink:
		if e.link == "" || strings.ContainsFunc(e.link, control) {
			return inventory.Invalid("symbolic link to %q", e.link)
		}
	case tar.TypeDir, tar.TypeFifo:
	case tar.TypeChar, tar.TypeBlock:
		if !t.devices {
			return inventory.Invalid("a device node: an image gets its devices from the kernel")
		}
	default:
		return inventory.Invalid("type %q is not known", h.Typeflag)
	}
	return t.add(name, e)
}

// inside cleans the name of an archive's entry, which must not climb out.
func (t *tree) inside(name string) (string, error) {
	if path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsFunc(name, control) || name == "" {
		return "", inventory.Invalid("path %q is not below the root, or has control characters", name)
	}
	return path.Clean(name), nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

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

// remove takes out a path and all below it. Another name of a removed file keeps it.
func (t *tree) remove(name string) {
	e := t.entries[name]
	if e == nil || name == "." {
		return
	}
	gone := []string{name}
	if e.kind == tar.TypeDir {
		for p := range t.entries {
			if strings.HasPrefix(p, name+"/") {
				gone = append(gone, p)
			}
		}
	}
	removed := map[string]*entry{}
	for _, p := range gone {
		removed[p] = t.entries[p]
		delete(t.entries, p)
	}
	for p, e := range removed {
		if t.linked[p] {
			t.rehome(p, e)
		}
	}
}

// rehome makes the first of the other names of a removed file its place.
func (t *tree) rehome(name string, e *entry) {
	first := ""
	for _, p := range sortedKeys(t.entries) {
		switch x := t.entries[p]; {
		case x.kind != tar.TypeLink || x.link != name:
		case first == "":
			first, t.entries[p] = p, e
		default:
			x.link, t.linked[first] = first, true
		}
	}
	delete(t.linked, name)
}

// glob removes what fits a shell pattern, of a path without leading slash.
func (t *tree) glob(pattern string) error {
	var found []string
	for p := range t.entries {
		if ok, err := path.Match(pattern, p); err != nil {
			return err
		} else if ok {
			found = append(found, p)
		}
	}
	for _, p := range found {
		t.remove(p)
	}
	return nil
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
