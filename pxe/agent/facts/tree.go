package facts

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxFileBytes bounds what is read of one file: /proc/cpuinfo of 1,024 threads has about
// 1.5 MB.
const maxFileBytes = 4 << 20

// tree is a machine's file tree. Its methods take slash-separated names below the root;
// a file that is missing or unreadable reads as nothing, which sysfs means by it.
type tree struct {
	root string
}

func newTree(root string) tree {
	if root == "" {
		root = "/"
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real // so that link can tell what is below it
	}
	return tree{root: filepath.Clean(root)}
}

// live reports whether the tree is the running machine, whose devices can be asked.
func (t tree) live() bool { return t.root == "/" }

func (t tree) path(name string) string { return filepath.Join(t.root, name) }

// bytes reads a file, nil when it can't be read.
func (t tree) bytes(name string) []byte {
	f, err := os.Open(t.path(name))
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes))
	if err != nil {
		return nil
	}
	return data
}

// text reads a file as one cleaned line.
func (t tree) text(elem ...string) string { return clean(string(t.bytes(path.Join(elem...)))) }

// number reads a decimal, 0 when there is none.
func (t tree) number(elem ...string) int64 {
	n, err := strconv.ParseInt(t.text(elem...), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (t tree) yes(elem ...string) bool { return t.text(elem...) == "1" }

func (t tree) exists(name string) bool {
	_, err := os.Stat(t.path(name))
	return err == nil
}

// names lists a directory in order.
func (t tree) names(dir string) []string {
	entries, err := os.ReadDir(t.path(dir))
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	slices.Sort(out)
	return out
}

// link resolves a name through its symbolic links to the slash-separated path below the
// root; empty when it leads nowhere or out of the tree.
func (t tree) link(name string) string {
	real, err := filepath.EvalSymlinks(t.path(name))
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(t.root, real)
	if err != nil || strings.HasPrefix(rel, "..") {
		return ""
	}
	return "/" + filepath.ToSlash(rel)
}

// base is the last element of a link's target: how sysfs names drivers.
func (t tree) base(name string) string {
	if target := t.link(name); target != "" {
		return path.Base(target)
	}
	return ""
}

// clean makes one printable line of what firmware or a device calls a string: the rest
// after a NUL is dropped, runs of blanks become one, and what is no text goes.
func clean(s string) string {
	s, _, _ = strings.Cut(s, "\x00")
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
