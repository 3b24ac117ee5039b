package images_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	return rawDiskOf(t, 512, seed)
}

func rawDiskOf(t *testing.T, sectorBytes int, seed uint64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.raw")
	disk, err := master.CreateFile(path, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	table, err := master.NewTable(master.NewGUID(master.DigestOf([]byte("disk"))), 8<<20, sectorBytes)
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
