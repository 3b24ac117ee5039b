package images_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images"
)

// thinned is a store with an image whose pack had frames taken out, and the disk that the
// image is of.
func thinned(t *testing.T) (dir, digest string, disk []byte) {
	t.Helper()
	store, dir := newStore(t)
	raw := rawDisk(t, 66)
	gone, err := store.Import(t.Context(), raw, options())
	if err != nil {
		t.Fatal(err)
	}
	if disk, err = os.ReadFile(raw); err != nil {
		t.Fatal(err)
	}
	clear(disk[(2<<20)+(256<<10) : (2<<20)+(768<<10)])
	changed := filepath.Join(t.TempDir(), "changed.raw")
	if err := os.WriteFile(changed, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	image, err := store.Import(t.Context(), changed, options())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), gone.Digest); err != nil {
		t.Fatal(err)
	}
	return dir, image.Digest, disk
}

// TestDamagedIndex: the frames are found again by the pack alone, when the store is opened
// and when it is collected.
func TestDamagedIndex(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(text []byte) []byte { text[at] ^= 0x10; return text }
	}
	for name, damage := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"cut short":   func(text []byte) []byte { return text[:len(text)/2] },
		"an entry":    flip(30),
		"the magic":   flip(0),
		"all zeros":   func(text []byte) []byte { return make([]byte, len(text)) },
		"another one": func(text []byte) []byte { return []byte("a text of somebody's") },
	} {
		t.Run(name, func(t *testing.T) {
			dir, digest, disk := thinned(t)
			index := filepath.Join(dir, "packs", "00000001.index")
			damaged := func() {
				text, err := os.ReadFile(index)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(index, damage(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			damaged()
			store, err := images.NewStore(dir)
			if err != nil {
				t.Fatal(err)
			}
			if said := store.Mended(); len(said) != 1 || !strings.Contains(said[0], index+" was damaged: made anew from its pack, where ") {
				t.Errorf("said %q", said)
			}
			if !bytes.Equal(restore(t, store, digest), disk) {
				t.Error("the image has other bytes than before")
			}
			before := usage(t, store)
			damaged()
			if _, err := store.Open(digest); err == nil || !strings.Contains(err.Error(), `"ingot image gc" makes it anew from its pack`) {
				t.Errorf("opened with a damaged index: %v", err)
			}
			if freed, err := store.Collect(t.Context(), nil); err != nil || freed != 0 {
				t.Errorf("collected %d bytes, %v", freed, err)
			}
			if !bytes.Equal(restore(t, store, digest), disk) || len(store.Mended()) != 1 || store.Mended() != nil {
				t.Error("after a collection the image has other bytes than before, or nothing was said")
			}
			if after := usage(t, store); after != before {
				t.Errorf("usage %+v, was %+v", after, before)
			}
		})
	}
}

// TestDamagedPackAndIndex: what is whole in the pack is found, and an import brings the
// rest.
func TestDamagedPackAndIndex(t *testing.T) {
	store, dir := newStore(t)
	raw := rawDisk(t, 67)
	image, err := store.Import(t.Context(), raw, options())
	if err != nil {
		t.Fatal(err)
	}
	disk, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(somePack(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	data[5] ^= 0xFF // the first frame's header says another length
	data[len(data)/2] ^= 0xFF
	index := strings.TrimSuffix(somePack(t, dir), "data") + "index"
	for path, bytes := range map[string][]byte{somePack(t, dir): data, index: nil} {
		if err := os.WriteFile(path, bytes, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if store, err = images.NewStore(dir); err != nil {
		t.Fatal(err)
	}
	if said := store.Mended(); len(said) != 1 || strings.Contains(said[0], " 0 frames") {
		t.Errorf("said %q", said)
	}
	if _, err := store.Import(t.Context(), raw, options()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(restore(t, store, image.Digest), disk) {
		t.Error("the image has other bytes than before")
	}
}

// TestIndexOfNewerVersion: an index that this version can't read is not overwritten.
func TestIndexOfNewerVersion(t *testing.T) {
	dir, digest, _ := thinned(t)
	index := filepath.Join(dir, "packs", "00000001.index")
	newer := []byte("INGOTPK9 and what else there is")
	if err := os.WriteFile(index, newer, 0o644); err != nil {
		t.Fatal(err)
	}
	store, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(digest); err == nil || !strings.Contains(err.Error(), "a newer version of Ingot wrote it") {
		t.Errorf("opened: %v", err)
	}
	if now, err := os.ReadFile(index); err != nil || !bytes.Equal(now, newer) || store.Mended() != nil {
		t.Errorf("the index is %q now, %v", now, err)
	}
}
