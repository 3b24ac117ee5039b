package contents_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
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

// TestUnwritten: room that was set aside for a file and not written to reads as zeros.
func TestUnwritten(t *testing.T) {
	disk := contentstest.Disk(t, contentstest.Tree{"etc/dirt": strings.Repeat("x", 1<<20), "etc/file": "abc"}, nil)
	const rootOffset = 1 << 20
	for _, request := range []string{"rm etc/dirt", "fallocate etc/file 1 9", "set_inode_field etc/file size 40000"} {
		out, err := exec.Command("/usr/sbin/debugfs", "-w", "-R", request, fmt.Sprintf("%s?offset=%d", disk.Name(), rootOffset)).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", request, err, out)
		}
	}
	d, err := contents.Open(disk, contentstest.Bytes, 512)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Root.ReadFile("etc/file", 1<<20)
	if want := "abc" + strings.Repeat("\x00", 39997); err != nil || string(got) != want {
		t.Errorf("%d bytes that begin with %q, %v", len(got), got[:min(len(got), 5)], err)
	}
}

// TestEndlessFile: a file that claims to be larger than any disk costs no time.
func TestEndlessFile(t *testing.T) {
	disk := contentstest.Disk(t, contentstest.Tree{"etc/file": "abc"}, nil)
	out, err := exec.Command("/usr/sbin/debugfs", "-w", "-R", "set_inode_field etc/file size 0x7000000000000", disk.Name()+"?offset=1048576").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	d, err := contents.Open(disk, contentstest.Bytes, 512)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.List(t.Context()); !errors.Is(err, inventory.ErrInvalid) || errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "/file") {
		t.Errorf("%v", err)
	}
}

// TestListStops: a listing ends when nobody waits for it, also in the middle of a file.
func TestListStops(t *testing.T) {
	d := open(t, holes, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
