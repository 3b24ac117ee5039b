package boottest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ingot/images"
	"ingot/images/build"
	"ingot/images/guestrun"
	"ingot/images/master"
	"ingot/inventory"
)

// debianImage returns Debian's golden image as a raw disk, from the store that
// INGOT_BOOT_STORE names, where it is built when it is missing.
func debianImage(t *testing.T) (inventory.Image, string) {
	t.Helper()
	if names := os.Getenv("INGOT_BOOT_TEST"); testing.Short() || !strings.Contains(names, "debian-12") {
		t.Skip("boots take minutes: set INGOT_BOOT_TEST=debian-12 and leave -short out")
	}
	if err := build.CheckTools(); err != nil {
		t.Skip(err)
	}
	dir := os.Getenv("INGOT_BOOT_STORE")
	if dir == "" {
		dir = t.TempDir()
	}
	store, err := images.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := build.EmbeddedRecipe("debian-12")
	if err != nil {
		t.Fatal(err)
	}
	image, err := store.FindRecipe(t.Context(), recipe.Name, recipe.Digest())
	if errors.Is(err, inventory.ErrNotFound) {
		err = build.Build(t.Context(), recipe, build.Options{Dir: t.TempDir(), Cache: cacheDir(t), Log: t.Output()}, func(ctx context.Context, made build.Result) (err error) {
			image, err = store.Import(ctx, made.Raw, images.ImportOptions{Name: recipe.Name, Format: images.FormatRaw, Traits: made.Traits, RecipeDigest: recipe.Digest()})
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := store.Open(image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path := filepath.Join(t.TempDir(), "debian.raw")
	disk, err := master.CreateFile(path, image.SizeBytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Apply(t.Context(), disk, master.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(disk.Sync(), disk.Close()); err != nil {
		t.Fatal(err)
	}
	return image, path
}

func slow(t *testing.T, image inventory.Image, path, mode string) Options {
	o := options(t, image, path, mode)
	o.Timeout, o.Stall = 15*time.Minute, 4*time.Minute
	return o
}

// TestDebian boots what must not pass, and an image that was customised. That the image
// itself passes by each firmware is images/publish's TestBoot.
func TestDebian(t *testing.T) {
	image, path := debianImage(t)
	t.Run("broken", func(t *testing.T) {
		// A unit that fails, and a check that does.
		o := slow(t, image, withUnit(t, path, "broken", "/bin/sh -c 'echo the database is gone; exit 9'", ""), "uefi")
		o.Checks = []Check{{Name: "shop is open", Command: "echo closed", Expect: regexp.MustCompile("open")}}
		got := mustTest(t, o)
		failed(t, got, "no failed units: broken.service", "the database is gone")
		failed(t, got, "no failed units: broken.service", `does not match "open": closed`)
	})
	t.Run("flooded channel", func(t *testing.T) {
		flood := withUnit(t, path, "flood", "/bin/sh -c 'modprobe virtio_console; until yes > /dev/virtio-ports/org.ingot.run.0; do sleep 0.2; done'", "DefaultDependencies=no")
		failed(t, mustTest(t, slow(t, image, flood, "bios")), "phone-home: the guest sent 10000 lines on the channel", "")
	})
	t.Run("customised", func(t *testing.T) { testCustomised(t, image, path) })
}

// testCustomised makes an image of an image, with a package from a folder, and boots it.
func testCustomised(t *testing.T, image inventory.Image, path string) {
	var steps []string
	raw, err := guestrun.Customise(t.Context(), guestrun.CustomiseOptions{Name: "shop", Base: path, Format: "raw", SizeBytes: image.SizeBytes + 1<<30, Dir: t.TempDir(),
		Packages: packageFolder(t), Install: []string{"ingot-example"}, Output: t.Output(), Progress: func(s string) { steps = append(steps, s) },
		Scripts: []guestrun.Command{{Name: "motd", Script: "test -s /usr/share/ingot-example/text && echo \"$GREETING\" > /etc/motd", Env: map[string]string{"GREETING": "it's a shop"}}}})
	t.Log(strings.Join(steps, ", "))
	if err != nil {
		t.Fatal(err)
	}
	root := fmt.Sprintf("%s?offset=%d", raw, partitionOffset(t, raw, "root"))
	if got := mustOutput(t, "debugfs", "-R", "cat /etc/machine-id", root); got != "" {
		t.Errorf("machine-id %q, want it empty", got)
	}
	for _, dir := range []string{"/etc/ssh", "/etc/apt/sources.list.d", "/var/lib/apt/lists", "/var/lib/systemd"} {
		if got := mustRun(t, "debugfs", "-R", "ls -p "+dir, root); regexp.MustCompile(`ssh_host_|ingot|_Packages|random-seed`).MatchString(got) {
			t.Errorf("%s has what belongs to the guest that made it:\n%s", dir, got)
		}
	}
	info, err := os.Stat(raw)
	if err != nil {
		t.Fatal(err)
	}
	image.SizeBytes = info.Size()
	o := slow(t, image, raw, "secureboot")
	o.Checks = []Check{
		{Name: "package", Command: "dpkg-query -W -f '${Status}' ingot-example", Expect: regexp.MustCompile("^install ok installed$")},
		{Name: "script", Command: "cat /etc/motd", Expect: regexp.MustCompile("^it's a shop$")},
	}
	if got := mustTest(t, o); !got.Passed {
		t.Errorf("the customised image does not pass: %s", got.Problem)
	}
}

// packageFolder holds one small package.
func packageFolder(t *testing.T) string {
	t.Helper()
	dir, tree := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"DEBIAN/control":               "Package: ingot-example\nVersion: 1.0~rc1+b1\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: a text\n for tests\n",
		"usr/share/ingot-example/text": "hello\n",
	} {
		path := filepath.Join(tree, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "dpkg-deb", "--root-owner-group", "-b", tree, filepath.Join(dir, "ingot-example_1.0~rc1+b1_all.deb"))
	return dir
}

// withUnit is a copy with one more systemd unit, which starts at boot.
func withUnit(t *testing.T, path, name, command, more string) string {
	t.Helper()
	path = copyDisk(t, path)
	root := fmt.Sprintf("%s?offset=%d", path, partitionOffset(t, path, "root"))
	unit := filepath.Join(t.TempDir(), name)
	text := fmt.Sprintf("[Unit]\n%s\n[Service]\nExecStart=%s\n", more, command)
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	target := "/etc/systemd/system/" + name + ".service"
	mustRun(t, "debugfs", "-w", "-R", "write "+unit+" "+target, root)
	mustRun(t, "debugfs", "-w", "-R", "symlink /etc/systemd/system/multi-user.target.wants/"+name+".service "+target, root)
	return path
}
