package contents_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ingot/images/contents"
	"ingot/images/contents/contentstest"
	"ingot/inventory"
)

// holes are files of which mke2fs leaves out the blocks of zeros.
var holes = contentstest.Tree{
	"etc/start":    strings.Repeat("\x00", 4096) + strings.Repeat("a", 9000),
	"etc/middle":   strings.Repeat("a", 9000) + strings.Repeat("\x00", 40000) + "b",
	"etc/end":      "a" + strings.Repeat("\x00", 50000),
	"etc/nothing":  strings.Repeat("\x00", 50001),
	"etc/few":      strings.Repeat(strings.Repeat("c", 4096)+strings.Repeat("\x00", 4096), 4),
	"etc/many":     strings.Repeat(strings.Repeat("d", 4096)+strings.Repeat("\x00", 4096), 500), // a tree two nodes high
	"etc/empty":    "",
	"etc/oneblock": strings.Repeat("e", 4096),
}

// TestHoles: files with holes and in pieces are read as they were written.
func TestHoles(t *testing.T) {
	d := open(t, holes, nil)
	files, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		want, ok := holes[f.Path[1:]]
		if !ok {
			continue // a folder
		}
		seen++
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(want))); f.SHA256 != sum || f.SizeBytes != int64(len(want)) {
			t.Errorf("%s: %d bytes with SHA-256 %s, want %d, %s", f.Path, f.SizeBytes, f.SHA256, len(want), sum)
		}
		if got, err := d.Root.ReadFile(f.Path, 16<<20); err != nil || string(got) != want {
			t.Errorf("%s, whole: %d bytes, %v", f.Path, len(got), err)
		}
	}
	if seen != len(holes) {
		t.Errorf("%d files are listed, want %d", seen, len(holes))
	}
}

// rootOffset is where contentstest puts the root when there is no EFI system partition.
const rootOffset = 1 << 20

// debugfs runs a request on the root of a disk and returns what it says.
func debugfs(t *testing.T, disk *os.File, request string) string {
	t.Helper()
	out, err := exec.Command("/usr/sbin/debugfs", "-w", "-R", request, fmt.Sprintf("%s?offset=%d", disk.Name(), rootOffset)).Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", request, err, out)
	}
	return string(out)
}

func reopen(t *testing.T, disk io.ReaderAt) *contents.Disk {
	t.Helper()
	d, err := contents.Open(disk, contentstest.Bytes, 512)
	if err != nil || d.Root == nil {
		t.Fatalf("%+v, %v", d, err)
	}
	return d
}

// TestUnwritten: room that was set aside for a file and not written to reads as zeros,
// whatever it holds.
func TestUnwritten(t *testing.T) {
	disk := contentstest.Disk(t, contentstest.Tree{"etc/file": "abc"}, nil)
	debugfs(t, disk, "fallocate etc/file 1 9")
	debugfs(t, disk, "set_inode_field etc/file size 40000")
	blocks := strings.Fields(debugfs(t, disk, "blocks etc/file"))
	if len(blocks) != 10 {
		t.Fatalf("blocks %v", blocks)
	}
	for _, b := range blocks[1:] {
		n, err := strconv.ParseInt(b, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := disk.WriteAt([]byte(strings.Repeat("x", 4096)), rootOffset+4096*n); err != nil {
			t.Fatal(err)
		}
	}
	got, err := reopen(t, disk).Root.ReadFile("etc/file", 1<<20)
	if want := "abc" + strings.Repeat("\x00", 39997); err != nil || string(got) != want {
		t.Errorf("%d bytes that begin with %q, %v", len(got), got[:min(len(got), 5)], err)
	}
}

// TestEndlessFile: a file that claims to be larger than any disk costs no time, also one
// whose size is negative to go-diskfs.
func TestEndlessFile(t *testing.T) {
	for _, size := range []string{"0x7000000000000", "0xF000000000000000"} {
		disk := contentstest.Disk(t, contentstest.Tree{"etc/file": "abc"}, nil)
		debugfs(t, disk, "set_inode_field etc/file size "+size)
		d := reopen(t, disk)
		if _, err := d.List(t.Context()); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), "/etc/file") {
			t.Errorf("size %s: %v", size, err)
		}
		if _, err := d.Root.ReadFile("etc/file", 1<<20); !errors.Is(err, inventory.ErrInvalid) {
			t.Errorf("size %s: %v", size, err)
		}
	}
}

// TestListStops: a listing ends when nobody waits for it, in a tree of folders as in the
// middle of a file.
func TestListStops(t *testing.T) {
	for name, tree := range map[string]contentstest.Tree{"folders": {"etc/a/": "", "etc/b/": ""}, "file": {"etc/file": strings.Repeat("x", 4<<20)}} {
		ctx, cancel := context.WithCancel(t.Context())
		disk := &tripwire{ReaderAt: contentstest.Disk(t, tree, nil)}
		d := reopen(t, disk)
		if name == "folders" {
			cancel()
		} else {
			disk.at, disk.trip = strings.Repeat("x", 4096), cancel
		}
		files, err := d.List(ctx)
		if !errors.Is(err, context.Canceled) || disk.count > 1<<20 {
			t.Errorf("%s: %d files, %d bytes read, %v", name, len(files), disk.count, err)
		}
	}
}

// tripwire calls trip when bytes are read that begin with at, and counts all that are read.
type tripwire struct {
	io.ReaderAt
	at    string
	trip  func()
	count int
}

func (w *tripwire) ReadAt(p []byte, offset int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, offset)
	if w.trip == nil {
		return n, err
	}
	if w.count += n; strings.HasPrefix(string(p[:n]), w.at) {
		w.trip()
	}
	return n, err
}

// TestReadError: a disk that can't be read is not a damaged image.
func TestReadError(t *testing.T) {
	disk := &failing{ReaderAt: contentstest.Disk(t, contentstest.Tree{"etc/file": "abc"}, nil)}
	d := reopen(t, disk)
	if _, err := d.Root.Stat("etc/file"); err != nil {
		t.Fatal(err)
	}
	disk.fails = true
	if _, err := d.Root.ReadFile("etc/file", 10); !errors.Is(err, errBroken) || errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

var errBroken = errors.New("broken")

type failing struct {
	io.ReaderAt
	fails bool
}

func (f *failing) ReadAt(p []byte, offset int64) (int, error) {
	if f.fails {
		return 0, errBroken
	}
	return f.ReaderAt.ReadAt(p, offset)
}

// TestGeometries: block sizes, groups and inodes as mke2fs makes them.
func TestGeometries(t *testing.T) {
	for _, options := range []string{"-b 1024", "-b 2048", "-b 4096", "-b 1024 -O bigalloc -C 16384", "-O ^64bit", "-I 512", "-b 1024 -g 1024 -N 4000"} {
		dir, disk := t.TempDir(), filepath.Join(t.TempDir(), "disk")
		for name, content := range holes {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		args := append([]string{"-q", "-F", "-t", "ext4", "-d", dir}, append(strings.Fields(options), disk, "32M")...)
		if out, err := exec.Command("/usr/sbin/mke2fs", args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", options, err, out)
		}
		f, err := os.Open(disk)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		d, err := contents.Open(f, 32<<20, 512)
		if err != nil || d.Root == nil {
			t.Errorf("%s: %+v, %v", options, d, err)
			continue
		}
		for name, want := range holes {
			if got, err := d.Root.ReadFile(name, 16<<20); err != nil || string(got) != want {
				t.Errorf("%s: %s: %d bytes, want %d, %v", options, name, len(got), len(want), err)
			}
		}
	}
}
