package images_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images"
	"ingot/images/master"
)

// oldDigest is the image in testdata/old: a store as it was before chunks were shared,
// with chunks cut in windows of 1 MiB.
const oldDigest = "sha256:7303c832b4192b91874b3dddc7ece8f662f59f6d0e7c07448c3cfc6f8842a881"

// oldDiskSHA256 is the raw disk in it.
const oldDiskSHA256 = "sha256:087ca177ff2c6d214847bf3addc3dbb5914303272c347d7ca9784a099677d3a4"

func oldStore(t *testing.T) (dir, data string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "old"))); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, "blobs", "sha256", oldDigest[7:], "data")
}

func TestUpgrade(t *testing.T) {
	dir, data := oldStore(t)
	want, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"first", "again", "cut short before the data file went"} {
		if when == "cut short before the data file went" {
			if err := os.WriteFile(data, want, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(somePack(t, dir)); err != nil {
				t.Fatal(err)
			}
		}
		store, err := images.NewStore(dir)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the data file is still there: %v", when, err)
		}
		if got := master.DigestOf(restore(t, store, oldDigest)).String(); got != oldDiskSHA256 {
			t.Errorf("%s: the disk is %s", when, got)
		}
		m, err := store.Open(oldDigest)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, m.Data.Size())
		if _, err := m.Data.ReadAt(got, 0); err != nil || string(got) != string(want) {
			t.Errorf("%s: the data file reads otherwise: %v", when, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		image, err := store.Get(t.Context(), "old")
		if err != nil || image.ContentDigest != m.Manifest.ContentDigest.String() {
			t.Errorf("%s: %+v, %v", when, image, err)
		}
		wantEmpty(t, filepath.Join(dir, "tmp"))
	}
}

func TestUpgradeKeepsWhatItCannotConvert(t *testing.T) {
	dir, data := oldStore(t)
	f, err := os.OpenFile(data, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 100); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(data); err != nil {
		t.Errorf("the data file went: %v", err)
	}
	if _, err := store.Open(oldDigest); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("open: %v, want one that says what is damaged", err)
	}
	if image, err := store.Import(context.Background(), rawDisk(t, 1), options()); err != nil {
		t.Errorf("other images: %+v, %v", image, err)
	}
}
