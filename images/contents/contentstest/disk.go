// Package contentstest makes small disks whose contents a test names.
package contentstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images/master"
)

const (
	sectorBytes = 512
	espBytes    = 8 << 20
	diskBytes   = 64 << 20
)

// Tree maps paths to the content of files. A content that begins with "-> " is a link; a
// path that ends with "/" is a folder.
type Tree map[string]string

// Disk makes a disk with a GUID partition table, a FAT EFI system partition (when esp is
// not nil) and an ext4 root, by mke2fs and mtools. It skips the test when they are not
// there. The size is that of the file.
func Disk(t testing.TB, root, esp Tree) *os.File {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "disk.raw")
	table, err := master.NewTable(master.NewGUID(master.DigestOf([]byte("disk"))), diskBytes, sectorBytes)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(diskBytes); err != nil {
		t.Fatal(err)
	}
	if esp != nil {
		p, err := table.Append(master.TypeESP, master.NewGUID(master.DigestOf([]byte("esp"))), "esp", espBytes, 0)
		if err != nil {
			t.Fatal(err)
		}
		offset, length := table.Offset(p)
		fillESP(t, path, write(t, filepath.Join(dir, "esp"), esp), offset, length)
	}
	p, err := table.Append(master.TypeLinuxRoot, master.NewGUID(master.DigestOf([]byte("root"))), "root", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	offset, length := table.Offset(p)
	run(t, "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-d", write(t, filepath.Join(dir, "root"), root), "-E", fmt.Sprintf("offset=%d", offset), path, fmt.Sprintf("%dk", length>>10))
	if err := table.Write(f); err != nil {
		t.Fatal(err)
	}
	return f
}

func fillESP(t testing.TB, disk, dir string, offset, length int64) {
	t.Helper()
	run(t, "mkfs.vfat", "-F", "12", fmt.Sprintf("--offset=%d", offset/sectorBytes), disk, fmt.Sprint(length>>10))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		run(t, "mcopy", "-s", "-i", fmt.Sprintf("%s@@%d", disk, offset), filepath.Join(dir, e.Name()), "::")
	}
}

// write makes the tree as files.
func write(t testing.TB, dir string, tree Tree) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range tree {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// Bytes is the size of the disks.
const Bytes = diskBytes
