package images_test

import (
	"bytes"
	cmp2 "cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"ingot/images"
	"ingot/images/master"
	"ingot/inventory"
)

func newStore(t *testing.T) (*images.Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// noise is bytes that don't compress.
func noise(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

// rawDisk makes a disk with a GPT whose root is named, and some data in it.
func rawDisk(t *testing.T, seed uint64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	disk, err := master.CreateFile(path, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	table, err := master.NewTable(master.NewGUID(master.DigestOf([]byte("disk"))), 8<<20, 512)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Append(master.TypeLinuxRoot, master.NewGUID(master.DigestOf([]byte("root"))), "root", 0, 1<<20); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 1<<20)
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	if _, err := disk.WriteAt(data, 2<<20); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(disk); err != nil {
		t.Fatal(err)
	}
	return path
}

func options() images.ImportOptions {
	return images.ImportOptions{Name: "web-1", Version: "1", Traits: master.Traits{SectorBytes: 512, GrowPartition: "root",
		BootModes: []master.BootMode{master.BootUEFI}, FirstBoot: master.FirstBootCloudInit}}
}

func TestImportGetDelete(t *testing.T) {
	ctx := context.Background()
	store, dir := newStore(t)
	path := rawDisk(t, 1)
	o := options()
	o.Channels = []string{"stable"}
	image, err := store.Import(ctx, path, o)
	if err != nil {
		t.Fatal(err)
	}
	if image.SizeBytes != 8<<20 || image.GrowPartition != "root" || image.LogicalSectorBytes != 512 || image.FirstBoot != "cloud-init" {
		t.Errorf("image document: %+v", image)
	}
	again, err := store.Import(ctx, path, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(image, again); diff != "" {
		t.Errorf("imported twice (-first +second):\n%s", diff)
	}
	for _, ref := range []string{"web-1", "web-1:stable", "web-1@" + image.Digest, "web-1@" + image.Digest[:19]} {
		if got, err := store.Get(ctx, ref); err != nil || got.Digest != image.Digest {
			t.Errorf("get %s: %v, %v", ref, got.Digest, err)
		}
	}
	for _, ref := range []string{"web-1:nightly", "web-2", "web-2@" + image.Digest} {
		if _, err := store.Get(ctx, ref); !errors.Is(err, inventory.ErrNotFound) {
			t.Errorf("get %s: %v, want not found", ref, err)
		}
	}
	if err := store.Delete(ctx, image.Digest); !errors.Is(err, inventory.ErrBusy) {
		t.Errorf("delete an image that a channel points to: %v, want busy", err)
	}
	o.Channels = nil
	other, err := store.Import(ctx, rawDisk(t, 2), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.MoveChannel(ctx, "web-1", "stable", other.Digest, "test"); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(ctx, image.Digest); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(ctx, image.Digest); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("delete again: %v, want not found", err)
	}
	reopened, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	list, err := reopened.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]inventory.Image{other}, list); diff != "" {
		t.Errorf("list after reopening (-want +got):\n%s", diff)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		t.Errorf("%s holds %v", dir, entries)
	}
}

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
	if _, err := master.Apply(context.Background(), m.Manifest, m.Source(), disk, master.ApplyOptions{}); err != nil {
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

func TestOpenFindsDamage(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		name   string
		damage func(blob, pack string) error
	}{
		{"pack cut short", func(_, pack string) error { return os.Truncate(pack, 100) }},
		{"manifest changed", func(blob, _ string) error {
			return os.WriteFile(filepath.Join(blob, "manifest.json"), []byte("{}"), 0o600)
		}},
		{"pack gone", func(_, pack string) error { return os.Remove(pack) }},
		{"pack and its index gone", func(_, pack string) error {
			return errors.Join(os.Remove(pack), os.Remove(strings.TrimSuffix(pack, "data")+"index"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, dir := newStore(t)
			disk := rawDisk(t, 5)
			image, err := store.Import(ctx, disk, options())
			if err != nil {
				t.Fatal(err)
			}
			if err := test.damage(filepath.Join(dir, "blobs", "sha256", image.Digest[7:]), somePack(t, dir)); err != nil {
				t.Fatal(err)
			}
			_, err = store.Open(image.Digest)
			if err == nil {
				t.Error("no error")
			}
			t.Log(err)
			if test.name == "manifest changed" {
				return
			}
			if _, err := store.Import(ctx, disk, options()); err != nil {
				t.Fatal(err)
			}
			restore(t, store, image.Digest)
		})
	}
}

// somePack is the largest pack of a store.
func somePack(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "packs", "*.data"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no packs: %v", err)
	}
	return slices.MaxFunc(all, func(a, b string) int { return cmp2.Compare(fileSize(t, a), fileSize(t, b)) })
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
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

// TestNewStoreLeavesRunningImport opens the store again while an import runs.
func TestNewStoreLeavesRunningImport(t *testing.T) {
	store, dir := newStore(t)
	o := options()
	o.Progress = func(images.ImportProgress) {
		if _, err := images.NewStore(dir); err != nil {
			t.Error(err)
		}
	}
	image, err := store.Import(context.Background(), rawDisk(t, 8), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(image.Digest); err != nil {
		t.Error(err)
	}
}

func TestNewStoreSweeps(t *testing.T) {
	_, dir := newStore(t)
	if err := os.MkdirAll(filepath.Join(dir, "tmp", "import-1", "image"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := images.NewStore(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tmp", "import-1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remains of an import are there: %v", err)
	}
}

func TestHandler(t *testing.T) {
	store, _ := newStore(t)
	image, err := store.Import(context.Background(), rawDisk(t, 6), options())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	get := func(path string) (int, []byte) {
		t.Helper()
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, body
	}
	code, document := get("/images/" + image.Digest + "/manifest.json")
	if code != http.StatusOK {
		t.Fatalf("manifest: %d", code)
	}
	digest, err := master.ParseDigest(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := master.ParseManifestDigest(document, digest)
	if err != nil {
		t.Fatal(err)
	}
	target, err := master.CreateFile(filepath.Join(t.TempDir(), "disk"), manifest.LogicalBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	source := master.HTTPSource{URL: server.URL + "/images/" + image.Digest + "/data"}
	if _, err := master.Apply(context.Background(), manifest, source, target, master.ApplyOptions{}); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]int{
		"/images/sha256:00/data":                                      http.StatusBadRequest,
		"/images/" + master.DigestOf(nil).String() + "/data":          http.StatusNotFound,
		"/images/" + image.Digest + "/image.json":                     http.StatusNotFound,
		"/images/..%2f..%2fetc/data":                                  http.StatusBadRequest,
		"/images/" + master.DigestOf(nil).String() + "/manifest.json": http.StatusNotFound,
	} {
		if code, _ := get(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
}
