package bootfiles

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// archive is an initramfs in the making: a cpio in the "newc" format (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst). It is written in
// the order of the paths with owner root and no time, so that the same content
// gives the same bytes.
type archive struct{ entries map[string]entry }

type entry struct {
	mode         uint32
	data         []byte
	major, minor uint32 // of a device node
}

// The file types in a mode (inode(7)).
const (
	typeDir    = 0o040000
	typeChar   = 0o020000
	typeFile   = 0o100000
	typeLink   = 0o120000
	newcHeader = "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X"
)

func newArchive() *archive { return &archive{entries: map[string]entry{}} }

func (a *archive) put(name string, e entry) {
	name = path.Clean(name)
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := a.entries[dir]; !ok {
			a.entries[dir] = entry{mode: typeDir | 0o755}
		}
	}
	a.entries[name] = e
}

func (a *archive) dir(name string, perm uint32) { a.put(name, entry{mode: typeDir | perm}) }
func (a *archive) link(name, target string) {
	a.put(name, entry{mode: typeLink | 0o777, data: []byte(target)})
}
func (a *archive) file(name string, perm uint32, data []byte) {
	a.put(name, entry{mode: typeFile | perm, data: data})
}
func (a *archive) char(name string, perm, major, minor uint32) {
	a.put(name, entry{mode: typeChar | perm, major: major, minor: minor})
}

// writeTo writes the archive with its trailer.
func (a *archive) writeTo(w io.Writer) error {
	c := &counter{w: w}
	names := make([]string, 0, len(a.entries))
	for name := range a.entries {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		return slices.Compare(strings.Split(x, "/"), strings.Split(y, "/"))
	})
	for i, name := range names {
		if err := c.entry(uint32(i+1), name, a.entries[name]); err != nil {
			return err
		}
	}
	if err := c.entry(0, "TRAILER!!!", entry{}); err != nil {
		return err
	}
	return c.pad(512)
}

type counter struct {
	w io.Writer
	n int
}

func (c *counter) write(b []byte) error {
	n, err := c.w.Write(b)
	c.n += n
	return err
}

func (c *counter) pad(to int) error {
	return c.write(make([]byte, (to-c.n%to)%to))
}

func (c *counter) entry(inode uint32, name string, e entry) error {
	links := uint32(1)
	if e.mode&typeDir != 0 && e.mode&typeFile == 0 {
		links = 2
	}
	header := fmt.Sprintf(newcHeader, inode, e.mode, 0, 0, links, 0, len(e.data), 0, 0, e.major, e.minor, len(name)+1, 0)
	if err := c.write([]byte(header + name + "\x00")); err != nil {
		return err
	}
	if err := c.pad(4); err != nil {
		return err
	}
	if err := c.write(e.data); err != nil {
		return err
	}
	return c.pad(4)
}
