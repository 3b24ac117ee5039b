package build_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ingot/images"
	"ingot/images/boottest"
	"ingot/images/build"
	"ingot/images/master"
	"ingot/inventory"
	"ingot/inventory/seed"
)

// TestBoot builds the images that INGOT_BOOT_TEST names ("tiny", "debian-12", or
// both with a comma) and boots each by every firmware it is for, as publishing does.
// INGOT_BOOT_STORE keeps the image store for the next run.
func TestBoot(t *testing.T) {
	names := os.Getenv("INGOT_BOOT_TEST")
	if names == "" || testing.Short() {
		t.Skip("boots take minutes: set INGOT_BOOT_TEST=tiny,debian-12 and leave -short out")
	}
	if err := build.CheckTools(); err != nil {
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("an image build needs root")
	}
	dir := os.Getenv("INGOT_BOOT_STORE")
	if dir == "" {
		dir = t.TempDir()
	}
	store, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(names, ",") {
		image := buildImage(t, store, name)
		for _, mode := range image.BootModes {
			t.Run(name+"/"+mode, func(t *testing.T) { testBoot(t, store, image, mode) })
		}
	}
}

func buildImage(t *testing.T, store *images.Store, name string) inventory.Image {
	t.Helper()
	r, err := build.EmbeddedRecipe(name)
	if err != nil {
		t.Fatal(err)
	}
	o := build.ImageOptions{Options: build.Options{Dir: t.TempDir(), Log: t.Output(), Progress: func(s build.Step) { t.Logf("%s %d/%d %s %s", name, s.Index, s.Count, s.Name, s.Detail) }}, Channels: []string{"stable"}}
	image, err := build.Image(t.Context(), store, r, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d MB stored for a disk of %d MB", image.Digest, image.StoredBytes/1e6, image.SizeBytes/1e6)
	return image
}

// ownChecks are what only this recipe promises.
var ownChecks = map[string][]boottest.Check{
	"debian-12": {
		{Name: "resolver", Command: "getent hosts localhost && test -s /etc/resolv.conf"},
		{Name: "guest tools", Command: "dpkg-query -W -f '${Status}\\n' qemu-guest-agent open-vm-tools hyperv-daemons", Expect: regexp.MustCompile(`^(install ok installed\n){3}$`)},
	},
}

func testBoot(t *testing.T, store *images.Store, image inventory.Image, mode string) {
	raw := filepath.Join(t.TempDir(), "image.raw")
	o := boottest.Options{Image: image, Mode: mode, Checks: ownChecks[image.Name], Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Open: func(ctx context.Context) (string, string, error) { return raw, "raw", unpack(ctx, store, image, raw) }}
	got, files, err := boottest.Test(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range got.Checks {
		t.Logf("%-16s %-5v %s", c.Name, c.Passed, c.Detail)
	}
	if !got.Passed {
		console, err := os.ReadFile(files[boottest.ConsoleFile])
		t.Fatalf("%s; console (%v):\n%s", got.Problem, err, console[max(0, len(console)-4000):])
	}
}

// unpack writes the image's disk to a file.
func unpack(ctx context.Context, store *images.Store, image inventory.Image, path string) error {
	m, err := store.Open(image.Digest)
	if err != nil {
		return err
	}
	defer m.Close()
	disk, err := master.CreateFile(path, image.SizeBytes)
	if err != nil {
		return err
	}
	_, err = master.Apply(ctx, m.Manifest, m.Source(), disk, master.ApplyOptions{})
	return errors.Join(err, disk.Sync(), disk.Close())
}

// TestSeedRoom checks that the packed seed fits the room an image leaves free.
func TestSeedRoom(t *testing.T) {
	packed, err := seed.Pack(seed.Documents{MetaData: []byte("{}"), UserData: bytes.Repeat([]byte("#"), 100)}, 512)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > 6<<20 {
		t.Errorf("a seed takes %d bytes, an image leaves 6 MiB free for certain", len(packed))
	}
}
