package images_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"ingot/images"
	"ingot/inventory"
)

func TestDerive(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		t.Skipf("needs qemu-img: %v", err)
	}
	store, dir := newStore(t)
	raw := rawDisk(t, 7)
	image, err := store.Import(t.Context(), raw, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []images.Format{images.FormatQcow2, images.FormatVMDK, images.FormatVHDX} {
		made := make([]images.Derived, 3)
		var asking sync.WaitGroup
		for i := range made {
			asking.Go(func() {
				d, err := store.Derive(t.Context(), image.Digest, format)
				if made[i] = d; err != nil {
					t.Errorf("%s: %v", format, err)
				}
			})
		}
		asking.Wait()
		if made[0] != made[1] || made[0] != made[2] || made[0].SHA256 == "" {
			t.Errorf("%s: made %+v", format, made)
		}
		if out, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", string(format), raw, made[0].Path).CombinedOutput(); err != nil {
			t.Errorf("%s differs from what was imported: %v: %s", format, err, out)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
	again, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, err := again.Derive(t.Context(), image.Digest, images.FormatQcow2)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.Path, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Derive(t.Context(), image.Digest, images.FormatQcow2); err == nil {
		t.Error("a file that was cut short passed")
	}
	if err := store.Delete(t.Context(), image.Digest); err != nil {
		t.Fatal(err)
	}
	none := func(when string) {
		t.Helper()
		if left, err := os.ReadDir(filepath.Join(dir, "derived")); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", when, left, err)
		}
	}
	none("after the image was deleted")
	if err := os.Mkdir(filepath.Join(dir, "derived", image.Digest[len("sha256:"):]+".qcow2"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := images.NewStore(dir); err != nil {
		t.Fatal(err)
	}
	none("after a start that found one that was made while its image was deleted")
}

func TestDeriveRefuses(t *testing.T) {
	store, _ := newStore(t)
	image, err := store.Import(t.Context(), rawDisk(t, 8), options())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Derive(t.Context(), image.Digest, images.FormatZstd); !errors.Is(err, inventory.ErrInvalid) {
		t.Errorf("format zstd: %v", err)
	}
	if _, err := store.Derive(t.Context(), "sha256:"+string(make([]byte, 64)), images.FormatQcow2); err == nil {
		t.Error("an image that is not there")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Derive(ended, image.Digest, images.FormatQcow2); !errors.Is(err, context.Canceled) {
		t.Errorf("context: %v", err)
	}
}
