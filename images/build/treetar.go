package build

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"ingot/inventory"
)

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
	if err := t.take(e, h, r); err != nil {
		return err
	}
	return t.add(name, e)
}

// take fills in what goes with the kind of an entry, and refuses what a tree can't have.
func (t *tree) take(e *entry, h *tar.Header, r io.Reader) (err error) {
	switch e.kind {
	case tar.TypeReg:
		if t.bytes += h.Size; h.Size < 0 || t.bytes > maxTreeBytes {
			return inventory.Invalid("more than %d bytes in all", int64(maxTreeBytes))
		}
		e.content, e.size, err = t.store(r)
		return err
	case tar.TypeLink:
		e.link, err = t.linkTarget(h.Linkname)
		return err
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
	return nil
}

// linkTarget is the path of the file that a hard link names.
func (t *tree) linkTarget(name string) (string, error) {
	link, err := t.inside(name)
	if err != nil {
		return "", err
	}
	dir, err := t.resolve(path.Dir(link), 0)
	if err != nil {
		return "", err
	}
	link = path.Join(dir, path.Base(link))
	if target := t.entries[link]; target == nil || target.kind == tar.TypeDir || target.kind == tar.TypeLink {
		return "", inventory.Invalid("hard link to %q, which is not a file before it", name)
	}
	return link, nil
}

// inside cleans the name of an archive's entry, which must not climb out.
func (t *tree) inside(name string) (string, error) {
	if path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") || strings.ContainsFunc(name, control) || name == "" {
		return "", inventory.Invalid("path %q is not below the root, or has control characters", name)
	}
	return path.Clean(name), nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }
