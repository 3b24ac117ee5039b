package guestrun

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/inventory"
)

// TestPackageDisk has dpkg make a package and debugfs read the disk.
func TestPackageDisk(t *testing.T) {
	for _, name := range []string{"dpkg-deb", "mkfs.ext4", "debugfs"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s", name)
		}
	}
	work, folder := t.TempDir(), t.TempDir()
	control := "Package: x\nVersion: 1:2\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: text\n more\n"
	tree := filepath.Join(work, "deb")
	if err := errors.Join(os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755), os.WriteFile(filepath.Join(tree, "DEBIAN/control"), []byte(control), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := packageDisk(t.Context(), folder, filepath.Join(work, "none"), filepath.Join(work, "none.img")); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("an empty folder: %v", err)
	}
	// A symbolic link into a cache, as a build's archive has.
	cached := filepath.Join(work, "cached")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-b", tree, cached).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Symlink(cached, filepath.Join(folder, "x_1%3a2_all.deb")); err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(work, "disk.img")
	if err := packageDisk(t.Context(), folder, filepath.Join(work, "tree"), disk); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("debugfs", "-R", "cat /Packages", disk).Output()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("debugfs", "-R", "stat /x_1%3a2_all.deb", disk).CombinedOutput(); err != nil || !strings.Contains(string(out), "Type: regular") {
		t.Errorf("the package is no file on the disk: %v: %s", err, out)
	}
	for _, want := range []string{"Package: x\n", "Version: 1:2\n", "\n more\nFilename: ./x_1%3a2_all.deb\nSize: ", "\nSHA256: "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("index lacks %q:\n%s", want, out)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "y.deb"), []byte("no package"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := packageDisk(t.Context(), folder, filepath.Join(work, "bad"), filepath.Join(work, "bad.img")); err == nil || !strings.Contains(err.Error(), "y.deb") {
		t.Errorf("a broken package: %v", err)
	}
}
