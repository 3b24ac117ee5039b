package bootfiles

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// archive is an initramfs in the making: a cpio in the "newc" format (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst). Its entries are
// in the order of their paths, with owner root and no time, so that the same content
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

// bytes returns the archive with its trailer.
func (a *archive) bytes() []byte {
	names := slices.SortedFunc(maps.Keys(a.entries), func(x, y string) int {
		return slices.Compare(strings.Split(x, "/"), strings.Split(y, "/"))
	})
	size := 1024 // for the trailer
	for name, e := range a.entries {
		size += 128 + len(name) + len(e.data)
	}
	b := make([]byte, 0, size)
	for i, name := range names {
		b = a.entries[name].appendTo(b, uint32(i+1), name)
	}
	return pad(entry{}.appendTo(b, 0, "TRAILER!!!"), 512)
}

func (e entry) appendTo(b []byte, inode uint32, name string) []byte {
	links := uint32(1)
	if e.mode&typeDir != 0 && e.mode&typeFile == 0 {
		links = 2
	}
	b = fmt.Appendf(b, newcHeader, inode, e.mode, 0, 0, links, 0, len(e.data), 0, 0, e.major, e.minor, len(name)+1, 0)
	b = pad(append(append(b, name...), 0), 4)
	return pad(append(b, e.data...), 4)
}

func pad(b []byte, to int) []byte {
	return append(b, make([]byte, (to-len(b)%to)%to)...)
}
