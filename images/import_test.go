package images_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

func TestImportFormats(t *testing.T) {
	raw := rawDisk(t, 3)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		command func(to string) []string
	}{
		{"qcow2", func(to string) []string { return []string{"qemu-img", "convert", "-O", "qcow2", raw, to} }},
		{"qcow2 compressed", func(to string) []string { return []string{"qemu-img", "convert", "-c", "-O", "qcow2", raw, to} }},
		{"vmdk", func(to string) []string { return []string{"qemu-img", "convert", "-O", "vmdk", raw, to} }},
		{"vmdk stream", func(to string) []string {
			return []string{"qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, to}
		}},
		{"vhdx", func(to string) []string { return []string{"qemu-img", "convert", "-O", "vhdx", raw, to} }},
		{"zstd", func(to string) []string { return []string{"zstd", "-q", raw, "-o", to} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "file")
			args := test.command(file)
			if _, err := exec.LookPath(args[0]); err != nil {
				t.Skipf("%s is not installed", args[0])
			}
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			store, dir := newStore(t)
			image, err := store.Import(context.Background(), file, options())
			if err != nil {
				t.Fatal(err)
			}
			got := restore(t, store, image.Digest)
			if !bytes.Equal(got, want) {
				t.Error("the stored disk differs from the source")
			}
			testCutShort(t, file)
			wantEmpty(t, filepath.Join(dir, "tmp"))
		})
	}
}

// testCutShort imports the file with its last third missing.
func testCutShort(t *testing.T, file string) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, info.Size()*2/3); err != nil {
		t.Fatal(err)
	}
	store, dir := newStore(t)
	if image, err := store.Import(context.Background(), file, options()); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("import of a file cut short: %+v, %v, want invalid", image, err)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
}

func restore(t *testing.T, store *images.Store, digest string) []byte {
	t.Helper()
	m, err := store.Open(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path := filepath.Join(t.TempDir(), "restored")
	disk, err := master.CreateFile(path, m.Manifest.LogicalBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if _, err := m.Apply(context.Background(), disk, master.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestImportRefuses(t *testing.T) {
	raw := rawDisk(t, 4)
	file := func(data []byte) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	disk, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	qcow2 := func(args ...string) string {
		path := filepath.Join(t.TempDir(), "q.qcow2")
		out, err := exec.Command("qemu-img", append(append([]string{"create", "-q", "-f", "qcow2"}, args...), path, "8M")...).CombinedOutput()
		if err != nil {
			t.Skipf("qemu-img: %v: %s", err, out)
		}
		return path
	}
	for _, test := range []struct {
		name, path string
		change     func(*images.ImportOptions)
	}{
		{"wrong hash", raw, func(o *images.ImportOptions) { o.SHA256 = master.DigestOf([]byte("x")) }},
		{"bad name", raw, func(o *images.ImportOptions) { o.Name = "Web/../1" }},
		{"raw cut short", file(disk[:4<<20]), nil},
		{"part of a sector", file(disk[:len(disk)-100]), nil},
		{"text", file([]byte("hello")), nil},
		{"gzip cut short", file([]byte{0x1F, 0x8B, 8, 0}), nil},
		{"vmdk descriptor", file([]byte("# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0\n")), nil},
		{"qcow2 with backing file", qcow2("-b", raw, "-F", "raw"), nil},
		{"qcow2 with data file", qcow2("-o", "data_file="+filepath.Join(t.TempDir(), "data")), nil},
		{"qcow2 as raw", qcow2(), func(o *images.ImportOptions) { o.Format = images.FormatRaw }},
		{"no such partition", raw, func(o *images.ImportOptions) { o.GrowPartition = "home" }},
		{"other sector size", raw, func(o *images.ImportOptions) { o.SectorBytes = 4096 }},
		{"folder", t.TempDir(), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, dir := newStore(t)
			o := options()
			if test.change != nil {
				test.change(&o)
			}
			if _, err := store.Import(context.Background(), test.path, o); !errors.Is(err, inventory.ErrInvalid) {
				t.Errorf("got %v, want invalid", err)
			} else {
				t.Log(err)
			}
			wantEmpty(t, filepath.Join(dir, "tmp"))
			wantEmpty(t, filepath.Join(dir, "blobs", "sha256"))
		})
	}
}

// TestImportDiskFull imports into a file system of 1 MiB.
func TestImportDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	store, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Import(context.Background(), rawDisk(t, 7), options()); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v, want no space", err)
	} else {
		t.Log(err)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
	wantEmpty(t, filepath.Join(dir, "blobs", "sha256"))
}
