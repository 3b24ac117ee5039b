package guestrun

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"ingot/inventory"
)

// withFiles copies an initrd and appends files by their paths. The kernel unpacks archives
// one after the other, compressed or not (Documentation/driver-api/early-userspace/
// buffer-format.rst).
func withFiles(initrd string, files map[string][]byte, to string) (err error) {
	in, err := os.Open(initrd)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	n, err := io.Copy(out, in)
	if err != nil {
		return err
	}
	archive, err := cpio(files)
	if err != nil {
		return err
	}
	_, err = out.Write(append(make([]byte, -n&3), archive...))
	return err
}

// cpio makes an archive in the "newc" form of cpio(5), of files that only root reads.
func cpio(files map[string][]byte) ([]byte, error) {
	var b strings.Builder
	entry := func(name string, mode, inode int, data []byte) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
		b.WriteString(name)
		b.WriteString(strings.Repeat("\x00", 1+(-(110+len(name)+1)&3)))
		b.Write(data)
		b.WriteString(strings.Repeat("\x00", -len(data)&3))
	}
	for i, name := range slices.Sorted(maps.Keys(files)) {
		if !path.IsAbs(name) || path.Clean(name) != name || name == "/" {
			return nil, inventory.Invalid("file %q for the initrd: want a clean absolute path", name)
		}
		entry(name[1:], 0o100600, i+1, files[name])
	}
	entry("TRAILER!!!", 0, 0, nil)
	return []byte(b.String()), nil
}
