package images_test

import (
	cmp2 "cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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

// TestDiskDamaged: who reads the disk of an image with a damaged chunk hears which one, and
// what to do.
func TestDiskDamaged(t *testing.T) {
	store, dir := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 5), options())
	if err != nil {
		t.Fatal(err)
	}
	pack := somePack(t, dir)
	flip(t, pack, fileSize(t, pack)/2)
	m, err := store.Open(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, err = io.Copy(io.Discard, io.NewSectionReader(m.Disk(), 0, image.SizeBytes))
	if err == nil || !strings.Contains(err.Error(), "chunk ") || !strings.Contains(err.Error(), "import or build the image again") {
		t.Errorf("reading the disk: %v", err)
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
