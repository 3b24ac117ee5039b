package images_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"ingot/images"
	"ingot/inventory"
)

func usage(t *testing.T, store *images.Store) images.Usage {
	t.Helper()
	u, err := store.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// verdicts are a plan in short: "keep: why" by digest.
func verdicts(plan []images.Decision) map[string]string {
	v := map[string]string{}
	for _, d := range plan {
		word := "go: "
		if d.Keep {
			word = "keep: "
		}
		v[d.Image.Digest] = word + d.Why
	}
	return v
}

func TestPlanAndCollect(t *testing.T) {
	ctx := context.Background()
	store, dir := newStore(t)
	d := three(t, store)
	for seed := range uint64(3) {
		image, err := store.Import(ctx, rawDisk(t, 50+seed), options())
		if err != nil {
			t.Fatal(err)
		}
		d = append(d, image.Digest)
	}
	for _, digest := range d[:3] {
		move(t, store, "stable", digest, "")
	}
	uses := []images.Use{{Digest: d[3], By: "machine web"}}
	plan, err := store.Plan(ctx, uses, images.Retention{KeepPerChannel: 2})
	if err != nil {
		t.Fatal(err)
	}
	got := verdicts(plan)
	for digest, want := range map[string]string{
		d[0]: "go: nothing uses it: ",
		d[1]: "keep: one of the last 2 of channel web-1:stable",
		d[2]: "keep: channel web-1:stable points to it",
		d[3]: "keep: machine web has it",
		d[4]: "go: nothing uses it: ",
		d[5]: "go: nothing uses it: ",
	} {
		if !strings.HasPrefix(got[digest], want) {
			t.Errorf("%s, want %s", got[digest], want)
		}
	}
	young, err := store.Plan(ctx, nil, images.Retention{Grace: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if v := verdicts(young)[d[4]]; v != "keep: younger than 1h0m0s" {
		t.Errorf("with a grace: %s", v)
	}
	var promised int64
	for _, decision := range plan {
		promised += decision.FreesBytes
	}
	before := usage(t, store)
	move(t, store, "candidate", d[5], "after the plan")
	freed, err := store.Collect(ctx, plan)
	if err != nil {
		t.Fatal(err)
	}
	after := usage(t, store)
	if before.ChunkBytes-after.ChunkBytes != freed || freed == 0 || freed >= promised {
		t.Errorf("freed %d, chunks went from %d to %d, promised %d for one more", freed, before.ChunkBytes, after.ChunkBytes, promised)
	}
	if after.Images != 4 {
		t.Errorf("%d images are left, want 4", after.Images)
	}
	for _, digest := range []string{d[1], d[2], d[3], d[5]} {
		restore(t, store, digest)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
}

// TestPlanCountsSharedChunksOnce has two images that share all but their first chunk.
func TestPlanCountsSharedChunksOnce(t *testing.T) {
	ctx := context.Background()
	store, _ := newStore(t)
	o := options()
	disk := rawDisk(t, 60)
	if _, err := store.Import(ctx, disk, o); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("boot code"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	one := usage(t, store).ChunkBytes
	second, err := store.Import(ctx, disk, o)
	if err != nil {
		t.Fatal(err)
	}
	both := usage(t, store).ChunkBytes
	if both-one > one/10 {
		t.Errorf("the second version costs %d of %d bytes", both-one, one)
	}
	plan, err := store.Plan(ctx, []images.Use{{Digest: second.Digest, By: "VM db"}}, images.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	freed, err := store.Collect(ctx, plan)
	if err != nil || freed > one/10 || freed == 0 {
		t.Errorf("freed %d of %d bytes, %v: want only the first one's own chunk", freed, one, err)
	}
	restore(t, store, second.Digest)
	plan, err = store.Plan(ctx, nil, images.Retention{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Collect(ctx, plan); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(images.Usage{}, usage(t, store)); diff != "" {
		t.Errorf("after all went (-want +got):\n%s", diff)
	}
}

// TestCollectWhileImporting removes the image whose chunks an import shares, at each
// step of it.
func TestCollectWhileImporting(t *testing.T) {
	ctx := context.Background()
	store, dir := newStore(t)
	disk := rawDisk(t, 61)
	o := options()
	old, err := store.Import(ctx, disk, o)
	if err != nil {
		t.Fatal(err)
	}
	o.GrowPartition = "" // another image of the same chunks
	other, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	o.Progress = func(p images.ImportProgress) {
		if p.DoneBytes < p.TotalBytes {
			return
		}
		once.Do(func() {
			if err := other.Delete(ctx, old.Digest); err != nil {
				t.Error(err)
			}
			if freed, err := other.Collect(ctx, nil); err != nil || freed != 0 {
				t.Errorf("freed %d under the import, %v", freed, err)
			}
		})
	}
	image, err := store.Import(ctx, disk, o)
	if err != nil {
		t.Fatal(err)
	}
	restore(t, store, image.Digest)
	wantEmpty(t, filepath.Join(dir, "tmp"))
}

func TestOrphansAreCollected(t *testing.T) {
	store, dir := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 62), options())
	if err != nil {
		t.Fatal(err)
	}
	before := usage(t, store)
	orphan, err := store.Import(t.Context(), rawDisk(t, 64), options())
	if err != nil {
		t.Fatal(err)
	}
	with := usage(t, store).ChunkBytes
	if err := os.RemoveAll(filepath.Join(dir, "blobs", "sha256", orphan.Digest[7:])); err != nil { // as a crash before the rename
		t.Fatal(err)
	}
	if freed, err := store.Collect(t.Context(), nil); err != nil || freed != with-before.ChunkBytes || freed == 0 {
		t.Errorf("freed %d, %v, want %d", freed, err, with-before.ChunkBytes)
	}
	if diff := cmp.Diff(before, usage(t, store)); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	restore(t, store, image.Digest)
}

// TestPackIsThinned removes an image whose pack holds what another one shares: the rest
// of the pack goes back to the file system, and the shared frames stay readable.
func TestPackIsThinned(t *testing.T) {
	ctx := t.Context()
	store, dir := newStore(t)
	raw := rawDisk(t, 65)
	first, err := store.Import(ctx, raw, options())
	if err != nil {
		t.Fatal(err)
	}
	disk, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	clear(disk[(2<<20)+(256<<10) : 3<<20]) // most of what it holds
	small := filepath.Join(t.TempDir(), "small.raw")
	if err := os.WriteFile(small, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	second, err := store.Import(ctx, small, options())
	if err != nil {
		t.Fatal(err)
	}
	pack := filepath.Join(dir, "packs", "00000001.data")
	before := blocks(t, pack)
	if err := store.Delete(ctx, first.Digest); err != nil {
		t.Fatal(err)
	}
	if after := blocks(t, pack); after >= before {
		t.Errorf("the pack takes %d bytes, had %d", after, before)
	}
	restore(t, store, second.Digest)
	again, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	restore(t, again, second.Digest)
}

// blocks is what a file takes of its file system, in bytes.
func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	return stat.Blocks * 512
}

// TestDeleteWhileRead reads an image that is deleted and collected.
func TestDeleteWhileRead(t *testing.T) {
	store, dir := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 63), options())
	if err != nil {
		t.Fatal(err)
	}
	m, err := store.Open(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), image.Digest); err != nil {
		t.Fatal(err)
	}
	other, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if freed, err := other.Collect(t.Context(), nil); err != nil || freed != 0 {
		t.Errorf("freed %d, %v while it is read", freed, err)
	}
	if _, err := store.Open(image.Digest); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("open again: %v, want not found", err)
	}
	data := make([]byte, m.Data.Size())
	if _, err := m.Data.ReadAt(data, 0); err != nil {
		t.Errorf("read on: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
	if u := usage(t, store); u.ChunkBytes != 0 {
		t.Errorf("%d bytes of chunks are left after the reader", u.ChunkBytes)
	}
}

func TestQuota(t *testing.T) {
	ctx := context.Background()
	store, dir := newStore(t)
	first, err := store.Import(ctx, rawDisk(t, 64), options())
	if err != nil {
		t.Fatal(err)
	}
	derived := filepath.Join(dir, "derived", first.Digest[7:]+".qcow2")
	if err := os.Mkdir(derived, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"disk": 2 << 20, "derived.json": 2} {
		if err := os.WriteFile(filepath.Join(derived, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	used := usage(t, store)
	store.SetQuota(used.TotalBytes() + 100<<10)
	_, err = store.Import(ctx, rawDisk(t, 65), options())
	if !errors.Is(err, inventory.ErrConflict) || !strings.Contains(err.Error(), "ingot image gc") || !strings.Contains(err.Error(), "quota of") {
		t.Errorf("over the quota: %v, want conflict that says what to do", err)
	}
	if after := usage(t, store); after.TotalBytes() != used.TotalBytes() {
		t.Errorf("%d bytes are there after the refusal, want %d", after.TotalBytes(), used.TotalBytes())
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
	longAgo := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(derived, "derived.json"), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Import(ctx, rawDisk(t, 65), options()); err != nil {
		t.Errorf("with a derived file that may go: %v", err)
	}
	if _, err := os.Stat(derived); err == nil {
		t.Error("the derived file is still there")
	}
}

// TestShared has two stores on one folder import, move and collect side by side.
func TestShared(t *testing.T) {
	_, dir := newStore(t)
	var working sync.WaitGroup
	for worker := range uint64(4) {
		store, err := images.NewStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		disks := []string{rawDisk(t, 70+worker%2), rawDisk(t, 72)}
		working.Go(func() {
			for round := range 3 {
				for _, disk := range disks {
					image, err := store.Import(t.Context(), disk, options())
					if err != nil {
						t.Errorf("worker %d: %v", worker, err)
						return
					}
					if _, err := store.MoveChannel(t.Context(), "web-1", "stable", image.Digest, "round"); err != nil && !errors.Is(err, inventory.ErrNotFound) {
						t.Errorf("worker %d: %v", worker, err)
					}
				}
				plan, err := store.Plan(t.Context(), nil, images.Retention{})
				if err == nil {
					_, err = store.Collect(t.Context(), plan)
				}
				if err != nil {
					t.Errorf("worker %d, round %d: %v", worker, round, err)
				}
			}
		})
	}
	working.Wait()
	store, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	image, err := store.Get(t.Context(), "web-1:stable")
	if err != nil {
		t.Fatal(err)
	}
	restore(t, store, image.Digest)
	if _, err := store.History(t.Context(), "web-1"); err != nil {
		t.Error(err)
	}
	wantEmpty(t, filepath.Join(dir, "tmp"))
}
