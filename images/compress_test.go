package images_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images"
	"ingot/images/master"
)

// textDisk is a disk with 3 MiB that compress well.
func textDisk(t *testing.T, seed uint64) string {
	t.Helper()
	path := rawDisk(t, seed)
	disk, err := master.OpenDevice(path)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	var text bytes.Buffer
	for i := 0; text.Len() < 3<<20; i++ {
		text.WriteString(strings.Repeat(string(rune('a'+i%26)), i%90) + "\n")
	}
	if _, err := disk.WriteAt(text.Bytes()[:3<<20], 4<<20); err != nil {
		t.Fatal(err)
	}
	return path
}

func later() images.ImportOptions {
	o := options()
	o.Later = true
	return o
}

func wantUncompressed(t *testing.T, store *images.Store, want bool) {
	t.Helper()
	if got, err := store.Uncompressed(); err != nil || got != want {
		t.Errorf("uncompressed %v, %v, want %v", got, err, want)
	}
}

func countPacks(t *testing.T, dir string) int {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "packs", "*.data"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestCompress: an image is the same one, and can be read, before it is compressed, while
// it is, and after it.
func TestCompress(t *testing.T) {
	store, dir := newStore(t)
	path := textDisk(t, 1)
	disk, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := store.Import(t.Context(), path, later())
	if err != nil {
		t.Fatal(err)
	}
	wantUncompressed(t, store, true)
	reader, err := store.Open(plain.Digest)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	url := server.URL + "/images/" + plain.Digest + "/data"
	tag := answer(t, "HEAD", url, nil).Header.Get("ETag")
	var progress [][2]int64
	if err := store.Compress(t.Context(), func(done, total int64) { progress = append(progress, [2]int64{done, total}) }); err != nil {
		t.Fatal(err)
	}
	if n := len(progress); n < 3 || progress[n-1][0] != progress[n-1][1] || progress[0][0] == 0 {
		t.Errorf("progress %v", progress)
	}
	packed, err := store.Get(t.Context(), "web-1@"+plain.Digest)
	if err != nil || packed.StoredBytes >= plain.StoredBytes*2/3 {
		t.Errorf("stored %d bytes, before %d, %v", packed.StoredBytes, plain.StoredBytes, err)
	}
	if r := answer(t, "GET", url, http.Header{"Range": {"bytes=0-9"}, "If-Match": {tag}}); r.Status != http.StatusPreconditionFailed {
		t.Errorf("a range of the old layout: %d", r.Status)
	}
	if got := restore(t, store, plain.Digest); !bytes.Equal(got, disk) {
		t.Error("the disk differs after it was compressed")
	}
	// Who began before goes on with what was there then.
	wantUncompressed(t, store, true)
	target, err := master.CreateFile(filepath.Join(t.TempDir(), "disk"), reader.Manifest.LogicalBytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Apply(t.Context(), target, master.ApplyOptions{}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(target.Close(), reader.Close()); err != nil {
		t.Fatal(err)
	}
	if err := store.Compress(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	wantUncompressed(t, store, false)
	if n := countPacks(t, dir); n != 1 {
		t.Errorf("%d packs are left", n)
	}
	wantSameAs(t, plain.Digest, path)
}

// wantSameAs imports a disk into another store, compressed at once.
func wantSameAs(t *testing.T, digest, path string) {
	t.Helper()
	other, _ := newStore(t)
	image, err := other.Import(t.Context(), path, options())
	if err != nil || image.Digest != digest {
		t.Errorf("compressed at once the image is %s, %v, want %s", image.Digest, err, digest)
	}
	wantUncompressed(t, other, false)
}

func TestCompressCutShort(t *testing.T) {
	store, dir := newStore(t)
	path := textDisk(t, 2)
	image, err := store.Import(t.Context(), path, later())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := store.Compress(ctx, func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
	again, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !bytes.Equal(restore(t, again, image.Digest), want) {
			t.Error("the disk differs")
		}
		if err := again.Compress(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	wantUncompressed(t, again, false)
}

// TestCompressDamaged: what is damaged is not tried again and again, and not made whole;
// an import mends it.
func TestCompressDamaged(t *testing.T) {
	store, dir := newStore(t)
	path := textDisk(t, 3)
	image, err := store.Import(t.Context(), path, later())
	if err != nil {
		t.Fatal(err)
	}
	flip(t, somePack(t, dir), 2<<20)
	if err := store.Compress(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	wantUncompressed(t, store, false)
	m, err := store.Open(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	target, err := master.CreateFile(filepath.Join(t.TempDir(), "disk"), m.Manifest.LogicalBytes)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if _, err := m.Apply(t.Context(), target, master.ApplyOptions{}); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a damaged chunk: %v", err)
	}
	if _, err := store.Import(t.Context(), path, options()); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(restore(t, store, image.Digest), want) {
		t.Errorf("the disk differs, %v", err)
	}
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// TestLaterShares: an import of what is there uncompressed adds nothing, and the other way
// round.
func TestLaterShares(t *testing.T) {
	for name, order := range map[string][2]images.ImportOptions{"plain first": {later(), options()}, "compressed first": {options(), later()}} {
		t.Run(name, func(t *testing.T) {
			store, dir := newStore(t)
			path := textDisk(t, 4)
			first, err := store.Import(t.Context(), path, order[0])
			if err != nil {
				t.Fatal(err)
			}
			order[1].BootModes = nil // another image of the same disk
			second, err := store.Import(t.Context(), path, order[1])
			if err != nil || second.Digest == first.Digest || second.StoredBytes != first.StoredBytes {
				t.Errorf("%+v after %+v, %v", second, first, err)
			}
			if n := countPacks(t, dir); n != 1 {
				t.Errorf("%d packs", n)
			}
		})
	}
}

// TestLaterWithoutRoom compresses at once where the whole disk would not fit in.
func TestLaterWithoutRoom(t *testing.T) {
	store, _ := newStore(t)
	store.SetQuota(6 << 20)
	if _, err := store.Import(t.Context(), textDisk(t, 5), later()); err != nil {
		t.Fatal(err)
	}
	wantUncompressed(t, store, false)
}

// TestExportedDataIsCompressed exports an image before it was compressed.
func TestExportedDataIsCompressed(t *testing.T) {
	store, _ := newStore(t)
	image, err := store.Import(t.Context(), textDisk(t, 6), later())
	if err != nil {
		t.Fatal(err)
	}
	if size := fileSize(t, exported(t, store, image.Digest, images.FormatZstd)); size >= image.StoredBytes*2/3 {
		t.Errorf("the file has %d bytes, the store had %d", size, image.StoredBytes)
	}
}

// TestCompressWaits has two at once: both return when all is done.
func TestCompressWaits(t *testing.T) {
	store, _ := newStore(t)
	if _, err := store.Import(t.Context(), textDisk(t, 7), later()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 2 {
		go func() { done <- store.Compress(t.Context(), nil) }()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
		wantUncompressed(t, store, false)
	}
}
