package build

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ingot/inventory"
)

// makeExt4 makes the root file system of a tree. mke2fs -d would take the files in the
// order of the building machine's folders, so the files are put in by debugfs(8), sorted:
// the same tree gives the same inodes and blocks anywhere.
func (b *build) makeExt4(ctx context.Context, t *tree, l *layout) error {
	offset, length := l.table.Offset(l.root)
	const reserved = 5 // percent, for inode tables, the journal, and a little room to start
	if room, need := length/4096*(100-reserved)/100-16384, t.blocks4K(); need > room {
		return inventory.Invalid("%skey sizeMiB: %d is too small: the files need %d MiB and the root file system has room for %d", b.recipe.place("sizeMiB"), b.recipe.SizeMiB, need/256, max(0, room/256))
	}
	if _, err := b.run(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-L", rootName, "-U", l.rootUUID,
		"-O", "^orphan_file,^metadata_csum_seed", "-m", "1", "-E", fmt.Sprintf("offset=%d,hash_seed=%s,root_owner=0:0", offset, l.rootUUID), l.path, fmt.Sprintf("%dk", length/1024)); err != nil {
		return err
	}
	script := filepath.Join(b.dir, "debugfs.script")
	if err := writeScript(script, t); err != nil {
		return fmt.Errorf("make root file system: %w", err)
	}
	out, err := b.runQuiet(ctx, "sh", "-c", `exec debugfs -w -f "$1" "$2" 2>&1 >/dev/null`, "sh", script, fmt.Sprintf("%s?offset=%d", l.path, offset))
	if err != nil {
		return fmt.Errorf("make root file system: %w", err)
	}
	// debugfs ends well whatever a command says.
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "debugfs 1.") {
			return fmt.Errorf("make root file system: debugfs: %s", line)
		}
	}
	return nil
}

// scriptWriter writes commands of debugfs.
type scriptWriter struct {
	*bufio.Writer
	tree     *tree
	children map[string][]string
	links    map[string]int // how many names a file has beyond its first
	dir      string
	xattrs   int
}

func writeScript(file string, t *tree) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := &scriptWriter{Writer: bufio.NewWriterSize(f, 1<<20), tree: t, children: map[string][]string{}, links: map[string]int{}, dir: filepath.Dir(file)}
	for p, e := range t.entries {
		if p != "." {
			w.children[path.Dir(p)] = append(w.children[path.Dir(p)], p)
		}
		if e.kind == tar.TypeLink {
			w.links[e.link]++
		}
	}
	err = w.folder(".")
	for _, p := range sortedKeys(t.entries) {
		if e := t.entries[p]; e.kind == tar.TypeLink {
			w.command("cd", "/"+strings.TrimPrefix(path.Dir(p), "."))
			w.command("ln", "/"+e.link, path.Base(p))
		}
	}
	for _, p := range sortedKeys(w.links) {
		w.command("sif", "/"+p, "links_count", fmt.Sprint(w.links[p]+1))
	}
	// Last, as making what is inside a folder changes the folder's time.
	for _, p := range sortedKeys(t.entries) {
		if e := t.entries[p]; e.kind == tar.TypeDir {
			w.command("sif", "/"+strings.TrimPrefix(p, "."), "mtime", e.unixTime())
		}
	}
	return errors.Join(err, w.Flush(), f.Close())
}

// command writes one line, all arguments quoted.
func (w *scriptWriter) command(name string, args ...string) {
	w.WriteString(name)
	for _, a := range args {
		w.WriteString(` "` + strings.ReplaceAll(a, `"`, `""`) + `"`)
	}
	w.WriteByte('\n')
}

// folder writes a folder's attributes and what is in it.
func (w *scriptWriter) folder(dir string) error {
	w.command("cd", "/"+strings.TrimPrefix(dir, "."))
	if dir == "." {
		if err := w.attributes("/", w.tree.entries["."]); err != nil {
			return err
		}
	}
	names := w.children[dir]
	slices.Sort(names)
	for _, p := range names {
		if err := w.make(path.Base(p), w.tree.entries[p]); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	for _, p := range names {
		if w.tree.entries[p].kind == tar.TypeDir {
			if err := w.folder(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// make writes one entry of the current folder.
func (w *scriptWriter) make(name string, e *entry) error {
	switch e.kind {
	case tar.TypeLink:
		return nil
	case tar.TypeDir:
		w.command("mkdir", name)
	case tar.TypeReg:
		w.command("write", e.content, name)
	case tar.TypeSymlink:
		w.command("symlink", name, e.link)
	case tar.TypeFifo:
		w.command("mknod", name, "p")
	case tar.TypeChar:
		w.command("mknod", name, "c", fmt.Sprint(e.major), fmt.Sprint(e.minor))
	case tar.TypeBlock:
		w.command("mknod", name, "b", fmt.Sprint(e.major), fmt.Sprint(e.minor))
	default:
		return fmt.Errorf("type %q", e.kind)
	}
	return w.attributes(name, e)
}

// fileType is the part of a mode that says what it is (inode(7)).
var fileType = map[byte]int64{tar.TypeReg: 0o100000, tar.TypeDir: 0o040000, tar.TypeSymlink: 0o120000, tar.TypeFifo: 0o010000, tar.TypeChar: 0o020000, tar.TypeBlock: 0o060000}

func (w *scriptWriter) attributes(name string, e *entry) error {
	mode := e.mode
	if e.kind == tar.TypeSymlink {
		mode = 0o777
	}
	w.command("sif", name, "mode", fmt.Sprintf("0%o", fileType[e.kind]|mode))
	if e.uid != 0 {
		w.command("sif", name, "uid", fmt.Sprint(e.uid))
	}
	if e.gid != 0 {
		w.command("sif", name, "gid", fmt.Sprint(e.gid))
	}
	if e.seconds != sourceDate && e.kind != tar.TypeDir {
		w.command("sif", name, "mtime", e.unixTime())
	}
	for _, attr := range sortedKeys(e.xattrs) {
		w.xattrs++
		value := filepath.Join(w.tree.spool, fmt.Sprintf("xattr-%d", w.xattrs))
		if err := os.WriteFile(value, []byte(e.xattrs[attr]), 0o600); err != nil {
			return err
		}
		w.command("ea_set", "-f", value, name, attr)
	}
	return nil
}
