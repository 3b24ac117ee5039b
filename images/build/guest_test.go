package build_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ingot/images/build"
	"ingot/inventory"
)

// fakeGuest notes what it is to do, and does what a guest's system would with the scripts.
type fakeGuest struct {
	customised build.Customisation
	installed  build.Installation
	check      func()
	err        error
}

func (g *fakeGuest) Customise(_ context.Context, c build.Customisation) error {
	g.customised = c
	if g.check != nil {
		g.check()
	}
	return errors.Join(g.err, os.WriteFile(c.To, []byte("disk"), 0o600))
}

func (g *fakeGuest) Install(_ context.Context, i build.Installation) error {
	g.installed = i
	if g.check != nil {
		g.check()
	}
	return errors.Join(g.err, os.WriteFile(i.To, []byte("disk"), 0o600))
}

func TestCustomise(t *testing.T) {
	needTools(t)
	t.Parallel()
	dir := t.TempDir()
	disk := []byte("a cloud image")
	sum := sha256.Sum256(disk)
	target := t.TempDir()
	recipe := fmt.Sprintf(`name: cloud
sizeMiB: 512
source: {image: {file: disk.qcow2, sha256: %x, format: qcow2}}
release: bookworm
components: [main]
steps:
  - packages: [zstd]
  - files: [{path: %[2]s/a/file, mode: 0640, content: "50%% of\n'quotes' and \\ \u00e4\n"}]
  - script: {name: hello, run: echo hello, env: {A: b}}
  - cleanup: ["%[2]s/gone*"]
`, sum, target)
	write(t, filepath.Join(dir, "disk.qcow2"), string(disk))
	write(t, filepath.Join(dir, "cloud.yaml"), recipe)
	write(t, filepath.Join(target, "gone1"), "")
	r, err := build.LoadRecipe(filepath.Join(dir, "cloud.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	o := build.Options{Dir: scratch, Cache: cacheDir(t), Log: logFile(t)}
	if err := build.Build(t.Context(), r, o, nothing); !errors.Is(err, inventory.ErrUnsupported) {
		t.Errorf("without a guest: %v", err)
	}
	guest := &fakeGuest{}
	guest.check = func() {
		g := guest.customised
		if got, err := os.ReadFile(g.Base); err != nil || !bytes.Equal(got, disk) {
			t.Errorf("base: %q %v", got, err)
		}
		if debs, err := filepath.Glob(filepath.Join(g.Repository, "zstd_*.deb")); err != nil || len(debs) != 1 {
			t.Errorf("repository: %v %v", debs, err)
		}
	}
	o.Guest = guest
	if err := build.Build(t.Context(), r, o, func(_ context.Context, result build.Result) error {
		if len(result.Inputs.Files) != 1 || result.Inputs.Files[0].SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("inputs: %+v", result.Inputs.Files)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	g := guest.customised
	if g.Format != "qcow2" || g.SizeBytes != 512<<20 || len(g.Scripts) != 3 || strings.Join(g.Packages, " ") != "zstd" {
		t.Errorf("got %+v", g)
	}
	for _, s := range []build.GuestScript{g.Scripts[0], g.Scripts[2]} {
		if out, err := exec.Command("sh", "-c", s.Script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", s.Name, err, out)
		}
	}
	got, err := os.ReadFile(filepath.Join(target, "a/file"))
	if err != nil || string(got) != "50% of\n'quotes' and \\ \u00e4\n" {
		t.Errorf("the script of a file wrote %q: %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(target, "gone1")); err == nil {
		t.Error("cleanup left the file")
	}
	if s := g.Scripts[1]; s.Name != "script hello" || s.Script != "echo hello" || s.Env["A"] != "b" {
		t.Errorf("script: %+v", s)
	}
	write(t, filepath.Join(dir, "cloud.yaml"), strings.Replace(recipe, hex.EncodeToString(sum[:]), strings.Repeat("0", 64), 1))
	if r, err = build.LoadRecipe(filepath.Join(dir, "cloud.yaml"), nil); err != nil {
		t.Fatal(err)
	}
	if err := build.Build(t.Context(), r, o, nothing); !errors.Is(err, inventory.ErrInvalid) || !strings.Contains(err.Error(), "cloud.yaml: line 3: key source.image: disk.qcow2: its SHA-256 is") {
		t.Errorf("another image: %v", err)
	}
	checkClean(t, scratch)
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestPreseed makes the installer of the Debian example ready: its initrd, as the kernel
// unpacks it, has the preseed.
func TestPreseed(t *testing.T) {
	needTools(t)
	t.Parallel()
	r, err := build.EmbeddedRecipeWith("debian-12-installer", map[string]string{"mirrorHost": "mirror.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	guest := &fakeGuest{}
	guest.check = func() {
		i := guest.installed
		if kernel, err := os.ReadFile(i.Kernel); err != nil || len(kernel) < 1<<20 {
			t.Errorf("kernel: %d bytes, %v", len(kernel), err)
		}
		f, err := os.Open(i.Initrd)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		z, err := gzip.NewReader(f) // reads both members
		if err != nil {
			t.Error(err)
			return
		}
		all, err := io.ReadAll(z)
		if err != nil || !bytes.Contains(all, []byte("preseed.cfg")) || !bytes.Contains(all, []byte("d-i mirror/http/hostname string mirror.example.org\n")) {
			t.Errorf("initrd of %d bytes has no preseed: %v", len(all), err)
		}
	}
	o := build.Options{Dir: t.TempDir(), Cache: cacheDir(t), Log: logFile(t), Guest: guest}
	if err := build.Build(t.Context(), r, o, nothing); err != nil {
		t.Fatal(err)
	}
	if i := guest.installed; i.Kind != build.InstallerPreseed || !strings.Contains(i.CommandLine, "console=ttyS0") || i.Accepted == "" || i.Firmware != "uefi" || i.SizeBytes != 8<<30 {
		t.Errorf("got %+v", i)
	}
}
