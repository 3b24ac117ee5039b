package boottest

import (
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
	image, err := build.Image(t.Context(), store, recipe, build.ImageOptions{Options: build.Options{Dir: t.TempDir(), Log: t.Output()}})
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
	if _, err := master.Apply(t.Context(), m.Manifest, m.Source(), disk, master.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(disk.Sync(), disk.Close()); err != nil {
		t.Fatal(err)
	}
	return image, path
}

var ownChecks = []Check{
	{Name: "kernel", Command: "uname -s; exit 3", ExitCode: 3, Expect: regexp.MustCompile(`^Linux\n$`)},
	{Name: "resolver", Command: "getent hosts localhost && test -s /etc/resolv.conf"},
}

const allChecks = "phone-home, hostname, root grown, no failed units, SSH key, SSH host keys, firmware, clock, kernel, resolver"

func slow(t *testing.T, image inventory.Image, path, mode string) Options {
	o := options(t, image, path, mode)
	o.Timeout, o.Stall, o.Checks = 15*time.Minute, 4*time.Minute, ownChecks
	return o
}

func TestDebian(t *testing.T) {
	image, path := debianImage(t)
	for _, mode := range []string{"bios", "uefi", "secureboot"} {
		t.Run(mode, func(t *testing.T) {
			if got := mustTest(t, slow(t, image, path, mode)); !got.Passed || names(got.Checks) != allChecks {
				t.Errorf("passed %v with %s, want %s", got.Passed, names(got.Checks), allChecks)
			}
		})
	}
	t.Run("broken", func(t *testing.T) {
		// Not the boot mode that is said, a unit that fails and a check that does.
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
